#!/bin/sh
# Builds the real control plane for tests and benchmarks, and prints the folder that has it.
#
#   hack/envtest/build.sh [command...]      by default: etcd kube-apiserver
#
# Known commands: etcd kube-apiserver kube-controller-manager kubectl pd-server. What the folder KUBEBUILDER_ASSETS has
# (as setup-envtest fills it) is taken from there; everything else is built once, in the version that go.mod pins, into
# the user's cache folder; if commands come from both, both are printed, a line each. controller_runtime.envtest looks in
# the same two. Go is needed, and for kube-apiserver some 4 GB of memory and 4 minutes on two cores.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/controller-runtime/envtest
[ $# -gt 0 ] || set -- etcd kube-apiserver

fail() {
    echo "$1" >&2
    exit 1
}

pinned() { # module path: the version that the module's go.mod requires of a path
    awk -v path="$2" '$1 == "require" && $2 == path {print $3; exit}' "$here/$1/go.mod"
}

build() { # command
    tags=
    variables=
    case $1 in
        etcd) module=etcd path=go.etcd.io/etcd/server/v3 package=$path ;;
        kube-apiserver | kube-controller-manager | kubectl)
            module=kubernetes path=k8s.io/kubernetes package=$path/cmd/$1
            variables="-X k8s.io/component-base/version.gitVersion=$(pinned $module $path)"
            ;;
        pd-server) module=pd path=github.com/tikv/pd package=$path/cmd/$1 tags=without_dashboard ;;
        *) fail "$1 is none of: etcd kube-apiserver kube-controller-manager kubectl pd-server" ;;
    esac
    version=$(pinned $module $path)
    built=$cache/$1-$version
    if [ ! -x "$built" ]; then
        command -v go >/dev/null || fail "Go is needed to build $1; or name a folder that has it: KUBEBUILDER_ASSETS"
        echo "building $1 $version" >&2
        mkdir -p "$cache"
        # Built beside its place and moved there, so that an interrupted build leaves nothing that looks finished.
        trap 'rm -f "$built.$$"' EXIT
        (cd "$here/$module" && CGO_ENABLED=0 nice go build -mod=readonly -trimpath -tags "$tags" \
            -ldflags "-s -w $variables" -o "$built.$$" "$package")
        mv "$built.$$" "$built"
    fi
    ln -sfn "$1-$version" "$cache/$1"
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ ! -d "$KUBEBUILDER_ASSETS" ]; then
    fail "KUBEBUILDER_ASSETS is no folder: $KUBEBUILDER_ASSETS"
fi
own=
cached=
for command in "$@"; do
    if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$command" ]; then
        own=$KUBEBUILDER_ASSETS
    else
        build "$command"
        cached=$cache
    fi
done
[ -z "$own" ] || echo "$own"
[ -z "$cached" ] || echo "$cached"
