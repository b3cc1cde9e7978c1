// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	dialEvery     = 100 * time.Millisecond
	answerWithin  = 10 * time.Second
	networkWithin = 30 * time.Second
	object        = "target"
)

// asker makes one request and says what went wrong.
type asker func() error

// client asks for an object until it is stopped, by turns over a connection that client-go keeps and over a fresh one.
func client(stopped context.Context) error {
	every, err := time.ParseDuration(os.Getenv("EVERY"))
	if err != nil {
		return err
	}
	counts, err := openCounts(os.Getenv("COUNTS"))
	if err != nil {
		return err
	}
	kept, err := keptAsker()
	if err != nil {
		return err
	}
	go http.ListenAndServe(":8080", counts)
	awaitNetwork(stopped, counts)
	askers := []struct {
		kind string
		ask  asker
	}{{"fresh", freshAsker()}, {"kept", kept}}
	fmt.Println("asking from", os.Getenv("NODE"))
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for number := 0; ; number++ {
		select {
		case <-stopped.Done():
			return counts.end()
		case <-ticker.C:
			one := askers[number%len(askers)]
			counts.ask(one.kind, one.ask)
		}
	}
}

// awaitNetwork waits until the API's address answers at all: a pod may start before its node knows the service network. Trust is no part of it.
func awaitNetwork(stopped context.Context, counts *Counts) {
	began := time.Now()
	for stopped.Err() == nil && time.Since(began) < networkWithin {
		connection, err := net.DialTimeout("tcp", address(), time.Second)
		if err == nil {
			connection.Close()
			break
		}
		time.Sleep(dialEvery)
	}
	counts.started(time.Since(began))
}

func address() string {
	return net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
}

func keptAsker() (asker, error) {
	config := &rest.Config{
		Host: "https://" + address(), BearerTokenFile: os.Getenv("TOKEN_FILE"), TLSClientConfig: rest.TLSClientConfig{CAFile: os.Getenv("CA_FILE")},
		Timeout: answerWithin, QPS: -1,
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects := clientset.CoreV1().ConfigMaps(os.Getenv("NAMESPACE"))
	return func() error {
		// Not the context that ends with the program: a request that is under way is brought to its end.
		_, err := objects.Get(context.Background(), object, metav1.GetOptions{})
		return err
	}, nil
}

func freshAsker() asker {
	url := fmt.Sprintf("https://%s/api/v1/namespaces/%s/configmaps/%s", address(), os.Getenv("NAMESPACE"), object)
	return func() error {
		bundle, err := os.ReadFile(os.Getenv("CA_FILE"))
		if err != nil {
			return err
		}
		token, err := os.ReadFile(os.Getenv("TOKEN_FILE"))
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
		request, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		return good((&http.Client{Transport: transport, Timeout: answerWithin}).Do(request))
	}
}

func good(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %.200s", response.StatusCode, body)
	}
	return err
}
