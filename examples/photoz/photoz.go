package photoz

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"example.com/umpire/pep"
)

// maxBody is the size of the largest request body, in bytes.
const maxBody = 4 << 10

// rules say what each request needs. The URIs are those of the resources in realm.yaml; an album made later is
// registered with its own.
var rules = []pep.Rule{
	{Method: "POST", Path: "/album", URI: "/album", Scopes: []string{"create"}},
	{Method: "GET", Path: "/album/{id}", URI: "/album/{id}", Scopes: []string{"view"}},
	{Method: "POST", Path: "/album/{id}/comments", URI: "/album/{id}", Scopes: []string{"comment"}},
	{Method: "DELETE", Path: "/album/{id}", URI: "/album/{id}", Scopes: []string{"delete"}},
	{Method: "GET", Path: "/board", URI: "/board", Scopes: []string{"view"}},
	{Method: "POST", Path: "/board", URI: "/board", Scopes: []string{"post"}},
}

// Album is a set of photos with comments.
type Album struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Photos   []string  `json:"photos"`
	Comments []Message `json:"comments"`
}

// Message is a comment on an album or a note on the board.
type Message struct {
	By   string `json:"by"` // the requesting party's name
	Text string `json:"text"`
}

// site is the application. Its handlers run only for requests whose RPT has the permissions that the rules ask for.
type site struct {
	pep *pep.Enforcer

	mu     sync.Mutex
	albums map[string]Album
	board  []Message
}

// New returns the site with the two albums of realm.yaml. The configuration names the authorization server and the client of
// this resource server; New adds the rules.
func New(cfg pep.Config) (http.Handler, error) {
	cfg.Rules = rules
	enforcer, err := pep.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &site{
		pep: enforcer,
		albums: map[string]Album{
			"1": {ID: "1", Title: "Holiday album", Photos: []string{"beach.jpg", "sunset.jpg"}, Comments: []Message{}},
			"2": {ID: "2", Title: "Diary", Photos: []string{"monday.jpg"}, Comments: []Message{}},
		},
		board: []Message{{By: "photoz", Text: "Welcome!"}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /album", s.create)
	mux.HandleFunc("GET /album/{id}", s.view)
	mux.HandleFunc("POST /album/{id}/comments", s.comment)
	mux.HandleFunc("DELETE /album/{id}", s.delete)
	mux.HandleFunc("GET /board", s.readBoard)
	mux.HandleFunc("POST /board", s.post)
	return enforcer.Protect(mux), nil
}

// create adds an album and registers it at the authorization server. Its owner is the requesting party, who may share it.
func (s *site) create(w http.ResponseWriter, r *http.Request) {
	granted, _ := pep.FromContext(r.Context())
	title, ok := text(w, r, "title")
	if !ok {
		return
	}
	if granted.Subject == "" { // without an owner the resource would be the site's
		http.Error(w, "the token has no subject, so the album would have no owner", http.StatusForbidden)
		return
	}
	album := Album{ID: strings.ToLower(rand.Text()[:10]), Title: title, Photos: []string{}, Comments: []Message{}}
	_, err := s.pep.Register(r.Context(), pep.Resource{
		Name:         title + " (" + album.ID + ")", // the names of one owner's resources must differ
		Type:         "album",
		Owner:        granted.Subject,
		OwnerManaged: true,
		URIs:         []string{"/album/" + album.ID},
		Scopes:       []string{"view", "comment", "delete"},
		Attributes:   map[string][]string{"visibility": {"private"}},
	})
	if err != nil {
		http.Error(w, "the album cannot be registered", http.StatusBadGateway)
		return
	}
	s.mu.Lock()
	s.albums[album.ID] = album
	s.mu.Unlock()
	w.Header().Set("Location", "/album/"+album.ID)
	answer(w, http.StatusCreated, album)
}

func (s *site) view(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	album, ok := s.albums[r.PathValue("id")]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, album)
}

func (s *site) comment(w http.ResponseWriter, r *http.Request) {
	message, ok := message(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	album, ok := s.albums[r.PathValue("id")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	// a new slice, because view encodes the old one without the lock
	album.Comments = append(append([]Message{}, album.Comments...), message)
	s.albums[album.ID] = album
	answer(w, http.StatusCreated, message)
}

// delete removes the resource first. If it fails half way, nobody can reach the album; the other way round, permissions
// would still be granted for an album that does not exist.
func (s *site) delete(w http.ResponseWriter, r *http.Request) {
	granted, _ := pep.FromContext(r.Context())
	if err := s.pep.Deregister(r.Context(), granted.Permission.ResourceID); err != nil {
		http.Error(w, "the album cannot be deregistered", http.StatusBadGateway)
		return
	}
	s.mu.Lock()
	delete(s.albums, r.PathValue("id"))
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (s *site) readBoard(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	board := append([]Message{}, s.board...)
	s.mu.Unlock()
	answer(w, http.StatusOK, board)
}

func (s *site) post(w http.ResponseWriter, r *http.Request) {
	message, ok := message(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	s.board = append(s.board, message)
	s.mu.Unlock()
	answer(w, http.StatusCreated, message)
}

// message reads {"text": "…"} and adds the requesting party's name. False: an error was written.
func message(w http.ResponseWriter, r *http.Request) (Message, bool) {
	granted, _ := pep.FromContext(r.Context())
	s, ok := text(w, r, "text")
	by := granted.Username
	if by == "" {
		by = granted.Subject
	}
	return Message{By: by, Text: s}, ok
}

// text reads the only member of the body. False: an error was written.
func text(w http.ResponseWriter, r *http.Request, member string) (string, bool) {
	var body map[string]string
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
	if err != nil || len(body) != 1 || strings.TrimSpace(body[member]) == "" {
		http.Error(w, `want a body {"`+member+`": "…"}`, http.StatusBadRequest)
		return "", false
	}
	return body[member], true
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // it fails only if the client has closed the connection
}
