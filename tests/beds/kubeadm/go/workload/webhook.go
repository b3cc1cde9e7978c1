// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"net/http"

	admission "k8s.io/api/admission/v1"
)

// webhook allows everything, with a warning by which its caller's client sees that it was asked.
func webhook(stopped context.Context) error {
	handler := http.NewServeMux()
	handler.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	handler.HandleFunc("POST /validate", func(writer http.ResponseWriter, request *http.Request) {
		var review admission.AdmissionReview
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(writer, "not an AdmissionReview with a request", http.StatusBadRequest)
			return
		}
		review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true, Warnings: []string{"seen by the bed's webhook"}}
		review.Request = nil
		writeJSON(writer, review)
	})
	return serve(stopped, handler)
}
