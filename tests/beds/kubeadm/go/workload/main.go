// Copyright (c) 2026, the rekey.kubernetes authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The sample workloads of the kubeadm bed, as one program: a client of the API, a validating webhook, an aggregated API server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	commands := map[string]func(context.Context) error{"client": client, "webhook": webhook, "apiserver": apiserver, "node": node}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: workload client|webhook|apiserver|node")
		os.Exit(2)
	}
	stopped, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := commands[os.Args[1]](stopped); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

// node is what the load executes in a pod: it names the node.
func node(context.Context) error {
	fmt.Println(os.Getenv("NODE"))
	return nil
}
