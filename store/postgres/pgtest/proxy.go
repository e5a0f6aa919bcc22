package pgtest

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A Proxy passes bytes between clients and a database, until it is told otherwise.
type Proxy struct {
	listener net.Listener
	target   string // path of a socket, or an address

	mu    sync.Mutex
	pairs map[*pair]bool
	hung  chan struct{} // closed when bytes pass again; nil: they pass
	watch func(bytes []byte, toDatabase bool) Fate
	held  []held
}

// A Fate is what happens to bytes and their connection.
type Fate int

const (
	Pass Fate = iota
	Cut       // they are lost, and both ends of the connection are closed
	Hold      // the client's end is closed; the database gets them when Release is called
)

// A held is what Hold held back.
type held struct {
	database net.Conn
	bytes    []byte
	answered <-chan Fate
}

// A pair is a client's connection and that to the database.
type pair struct{ client, database net.Conn }

func (p *pair) close() {
	_ = p.client.Close()
	if p.database != nil {
		_ = p.database.Close()
	}
}

// NewProxy returns a proxy for a database, and the URL of the database through it.
func NewProxy(t testing.TB, database string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: u.Host, pairs: map[*pair]bool{}}
	query := u.Query()
	if dir := query.Get("host"); dir != "" {
		p.target = filepath.Join(dir, ".s.PGSQL.5432")
		query.Del("host")
	}
	u.Host, u.RawQuery = listener.Addr().String(), query.Encode()
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.Pass()
		p.Cut()
	})
	return p, u.String()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	network := "tcp"
	if strings.HasPrefix(p.target, "/") {
		network = "unix"
	}
	database, err := net.Dial(network, p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	both := &pair{client, database}
	p.mu.Lock()
	p.pairs[both] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, both)
		p.mu.Unlock()
		both.close()
	}()
	ended := make(chan Fate, 2)
	go func() { ended <- p.pass(database, client, ended) }()
	go func() { ended <- p.pass(client, database, nil) }()
	if <-ended == Hold {
		_ = client.Close()
		both.database = nil
	}
}

// pass copies bytes until a connection ends. answered, of bytes for the database, tells when the
// other direction has ended.
func (p *Proxy) pass(to, from net.Conn, answered <-chan Fate) Fate {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.wait()
			switch p.watched(buffer[:n], answered != nil) {
			case Cut:
				return Cut
			case Hold:
				p.mu.Lock()
				p.held = append(p.held, held{to, buffer[:n], answered})
				p.mu.Unlock()
				return Hold
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return Cut
			}
		}
		if err != nil {
			return Cut
		}
	}
}

// wait waits while bytes do not pass.
func (p *Proxy) wait() {
	p.mu.Lock()
	hung := p.hung
	p.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

func (p *Proxy) watched(bytes []byte, toDatabase bool) Fate {
	p.mu.Lock()
	watch := p.watch
	p.mu.Unlock()
	if watch == nil {
		return Pass
	}
	return watch(bytes, toDatabase)
}

// Watch makes f say what happens to all bytes from now on; nil passes them.
func (p *Proxy) Watch(f func(bytes []byte, toDatabase bool) Fate) {
	p.mu.Lock()
	p.watch = f
	p.mu.Unlock()
}

// Release sends what was held to the database, waits for its answer and closes the connection.
func (p *Proxy) Release() error {
	p.mu.Lock()
	all := p.held
	p.held = nil
	p.mu.Unlock()
	for _, h := range all {
		if _, err := h.database.Write(h.bytes); err != nil {
			return err
		}
		<-h.answered // which cannot be passed on
		if err := h.database.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Hang stops passing bytes, also of new connections, until Pass.
func (p *Proxy) Hang() {
	p.mu.Lock()
	if p.hung == nil {
		p.hung = make(chan struct{})
	}
	p.mu.Unlock()
}

// Pass passes bytes again, those that waited first.
func (p *Proxy) Pass() {
	p.mu.Lock()
	if p.hung != nil {
		close(p.hung)
		p.hung = nil
	}
	p.mu.Unlock()
}

// Cut closes all connections; new ones may be opened.
func (p *Proxy) Cut() {
	p.mu.Lock()
	for both := range p.pairs {
		both.close()
	}
	p.mu.Unlock()
}
