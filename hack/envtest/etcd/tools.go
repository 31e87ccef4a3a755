//go:build tools

// Package tools names the command of etcd that go.mod pins; build.sh builds it.
package tools

import _ "go.etcd.io/etcd/server/v3"
