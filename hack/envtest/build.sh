#!/bin/sh
# Builds the real control plane for tests and benchmarks, and prints the folder that holds it.
#
#   hack/envtest/build.sh [command...]      by default: etcd kube-apiserver
#
# Known commands: etcd kube-apiserver kube-controller-manager kubectl. What is there already is not built again. The
# folder lies outside the tree, one for each version; KUBEBUILDER_ASSETS names a folder of one's own instead, in which
# nothing is built. Go is needed, and for kube-apiserver some 4 GB of memory and 4 minutes on two cores, once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- etcd kube-apiserver

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for command in "$@"; do
        [ -x "$KUBEBUILDER_ASSETS/$command" ] || { echo "KUBEBUILDER_ASSETS has no $command: $KUBEBUILDER_ASSETS" >&2; exit 1; }
    done
    echo "$KUBEBUILDER_ASSETS"
    exit
fi

version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" {print $3} $1 == "k8s.io/kubernetes" {print $2; exit}' "$here/kubernetes/go.mod")
target=${XDG_CACHE_HOME:-$HOME/.cache}/tikv-operator/envtest/$version
mkdir -p "$target"

for command in "$@"; do
    [ -x "$target/$command" ] && continue
    case $command in
        etcd) module=etcd package=go.etcd.io/etcd/server/v3 ;;
        kube-apiserver | kube-controller-manager | kubectl) module=kubernetes package=k8s.io/kubernetes/cmd/$command ;;
        *) echo "$command is none of: etcd kube-apiserver kube-controller-manager kubectl" >&2; exit 1 ;;
    esac
    command -v go >/dev/null || { echo "Go is needed to build $command; or name a folder that has it: KUBEBUILDER_ASSETS" >&2; exit 1; }
    echo "building $command $version" >&2
    # Built beside its place and moved there, so that a build that was interrupted leaves nothing that looks finished.
    (cd "$here/$module" && CGO_ENABLED=0 nice go build -mod=readonly -trimpath -o "$target/.$command.$$" \
        -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" "$package")
    mv "$target/.$command.$$" "$target/$command"
done
echo "$target"
