// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	group     = "bed.rekey.invalid"
	version   = group + "/v1"
	reference = "extension-apiserver-authentication"
)

// apiserver serves an API of one resource, which says who asks. Like any aggregated server it believes the name in the headers only of a
// client whose certificate is signed by the front-proxy authority, as the cluster's ConfigMap shows it at that moment.
func apiserver(stopped context.Context) error {
	proxied, err := frontProxy(stopped)
	if err != nil {
		return err
	}
	whoami := metav1.APIResource{Name: "whoami", SingularName: "whoami", Kind: "WhoAmI", Verbs: metav1.Verbs{"get"}}
	versions := metav1.GroupVersionForDiscovery{GroupVersion: version, Version: "v1"}
	answers := map[string]func(name string) any{
		"/apis/" + group: func(string) any {
			return metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: group,
				Versions: []metav1.GroupVersionForDiscovery{versions}, PreferredVersion: versions}
		},
		"/apis/" + version: func(string) any {
			return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version,
				APIResources: []metav1.APIResource{whoami}}
		},
		"/apis/" + version + "/whoami": func(name string) any {
			return map[string]string{"kind": whoami.Kind, "apiVersion": version, "name": name}
		},
	}
	handler := http.NewServeMux()
	handler.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	for path, answer := range answers {
		handler.HandleFunc("GET "+path, func(writer http.ResponseWriter, request *http.Request) {
			found, known, err := proxied.AuthenticateRequest(request)
			if err != nil || !known {
				http.Error(writer, "the client is not the front proxy", http.StatusUnauthorized)
				return
			}
			writeJSON(writer, answer(found.User.GetName()))
		})
	}
	return serve(stopped, handler)
}

// frontProxy returns who judges the API server's certificate and headers; it follows the ConfigMap until it is stopped.
func frontProxy(stopped context.Context) (authenticator.Request, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	authorities, err := dynamiccertificates.NewDynamicCAFromConfigMapController(
		"front-proxy", metav1.NamespaceSystem, reference, "requestheader-client-ca-file", clientset)
	if err != nil {
		return nil, err
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(reference, metav1.NamespaceSystem, clientset,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix",
		"requestheader-allowed-names")
	for _, once := range []func(context.Context) error{authorities.RunOnce, headers.RunOnce} {
		if err := once(stopped); err != nil {
			return nil, err
		}
	}
	go authorities.Run(context.Background(), 1)
	go headers.Run(context.Background(), 1)
	return headerrequest.NewDynamicVerifyOptionsSecure(authorities.VerifyOptions,
		headerrequest.StringSliceProviderFunc(headers.AllowedClientNames), headerrequest.StringSliceProviderFunc(headers.UsernameHeaders),
		headerrequest.StringSliceProviderFunc(headers.UIDHeaders), headerrequest.StringSliceProviderFunc(headers.GroupHeaders),
		headerrequest.StringSliceProviderFunc(headers.ExtraHeaderPrefixes)), nil
}
