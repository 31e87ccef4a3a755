//go:build tools

// Package tools names the command of PD that go.mod pins; build.sh builds it.
package tools

import _ "github.com/tikv/pd/cmd/pd-server"
