// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	// As long as it may take until nobody in the cluster sends new connections to a pod that is about to end.
	servesOn    = 5 * time.Second
	finishesFor = 10 * time.Second
)

// serve answers on :8443 until it is stopped, goes on for some seconds more, and ends when all requests are answered.
func serve(stopped context.Context, handler http.Handler) error {
	server := &http.Server{Addr: ":8443", Handler: handler, TLSConfig: &tls.Config{
		ClientAuth: tls.RequestClientCert,
		// Read anew for each connection: a certificate that is replaced needs no restart.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			folder := os.Getenv("CERTIFICATE")
			found, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
			return &found, err
		},
	}}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServeTLS("", "") }()
	select {
	case err := <-failed:
		return err
	case <-stopped.Done():
	}
	time.Sleep(servesOn)
	ending, cancel := context.WithTimeout(context.Background(), finishesFor)
	defer cancel()
	return server.Shutdown(ending)
}

func writeJSON(writer http.ResponseWriter, value any) {
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(value)
}
