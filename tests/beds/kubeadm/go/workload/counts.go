// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	writeEvery = time.Second
	errorsKept = 100
)

// Failure is a request that failed: when it ended and how long it took.
type Failure struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Why     string    `json:"why"`
}

// Kind counts the requests of one kind; of failures the first ones are kept.
type Kind struct {
	Requests       int       `json:"requests"`
	Failed         int       `json:"failed"`
	SlowestSeconds float64   `json:"slowest_seconds"`
	Errors         []Failure `json:"errors"`
}

// Counts is what a pod has seen, over all starts of its container. It lies in a file of its node, which outlives the pod.
type Counts struct {
	Pod                 string           `json:"pod"`
	Node                string           `json:"node"`
	Workload            string           `json:"workload"`
	Starts              int              `json:"starts"`
	SlowestStartSeconds float64          `json:"slowest_start_seconds"`
	Updated             time.Time        `json:"updated"`
	Ended               bool             `json:"ended"`
	Kinds               map[string]*Kind `json:"kinds"`

	path    string
	written time.Time
	lock    sync.Mutex
}

func openCounts(folder string) (*Counts, error) {
	counts := &Counts{Kinds: map[string]*Kind{}, path: filepath.Join(folder, os.Getenv("UID")+".json")}
	content, err := os.ReadFile(counts.path)
	if err == nil {
		err = json.Unmarshal(content, counts)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	counts.Pod, counts.Node, counts.Workload = os.Getenv("POD"), os.Getenv("NODE"), os.Getenv("WORKLOAD")
	return counts, err
}

func (counts *Counts) started(took time.Duration) {
	counts.lock.Lock()
	defer counts.lock.Unlock()
	counts.Starts++
	counts.Ended = false
	counts.SlowestStartSeconds = max(counts.SlowestStartSeconds, took.Seconds())
}

// ask makes a request, counts how it went, and writes the file about once a second.
func (counts *Counts) ask(name string, ask asker) {
	began := time.Now()
	err := ask()
	took := time.Since(began).Seconds()
	counts.lock.Lock()
	defer counts.lock.Unlock()
	kind := counts.Kinds[name]
	if kind == nil {
		kind = &Kind{Errors: []Failure{}}
		counts.Kinds[name] = kind
	}
	kind.Requests++
	kind.SlowestSeconds = max(kind.SlowestSeconds, took)
	if err != nil {
		failure := Failure{time.Now().UTC(), took, err.Error()}
		kind.Failed++
		if len(kind.Errors) < errorsKept {
			kind.Errors = append(kind.Errors, failure)
		}
		fmt.Println(failure.Time.Format(time.RFC3339Nano), counts.Node, name, failure.Why)
	}
	if time.Since(counts.written) >= writeEvery {
		if err := counts.write(); err != nil {
			fmt.Println("the counts cannot be written:", err)
		}
	}
}

func (counts *Counts) end() error {
	counts.lock.Lock()
	defer counts.lock.Unlock()
	counts.Ended = true
	return counts.write()
}

func (counts *Counts) write() error {
	counts.written = time.Now()
	counts.Updated = counts.written.UTC()
	content, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	draft := counts.path + ".draft"
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, counts.path)
}

// ServeHTTP shows the counts to whoever asks the pod itself.
func (counts *Counts) ServeHTTP(writer http.ResponseWriter, _ *http.Request) {
	counts.lock.Lock()
	defer counts.lock.Unlock()
	json.NewEncoder(writer).Encode(counts)
}
