#!/bin/sh
# Brings the three pods up on a local cluster: builds the image, loads it, applies the stacks, waits until they serve.
# Usage: k8s/kind.sh [kind|minikube]. CLUSTER names the cluster (request-splitter). A second run updates what is there.
set -eu

tool=${1:-kind}
cluster=${CLUSTER:-request-splitter}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
image=$(sed -n 's/^ *image: \(request-splitter:.*\)$/\1/p' "$root/k8s/components/splitter/sidecar.yaml")

need() {
  command -v "$1" >/dev/null && return
  echo "k8s/kind.sh: $1 is not installed" >&2
  exit 1
}

need kubectl
need "$tool"
case $tool in
  kind)
    need docker
    kind get clusters | grep -qx "$cluster" || kind create cluster --name "$cluster" --wait 3m
    docker build -t "$image" "$root"
    kind load docker-image --name "$cluster" "$image"
    context=kind-$cluster
    ;;
  minikube)
    minikube status -p "$cluster" >/dev/null 2>&1 || minikube start -p "$cluster"
    minikube -p "$cluster" image build -t "$image" "$root"
    context=$cluster
    ;;
  *)
    echo "usage: k8s/kind.sh [kind|minikube]" >&2
    exit 2
    ;;
esac

for stack in ambassador sidecar adapter; do
  kubectl --context "$context" apply -k "$root/k8s/$stack"
done
kubectl --context "$context" wait --for=condition=Available --timeout=5m deployment --all
kubectl --context "$context" rollout status --timeout=5m statefulset/postgresql

cat <<EOF
All three pods serve. Look at the split:
  kubectl --context $context port-forward service/frontend 8888:80
  while :; do curl "http://localhost:8888/?token=\$RANDOM"; done
Remove it all:
  $([ "$tool" = kind ] && echo "kind delete cluster --name $cluster" || echo "minikube delete -p $cluster")
EOF
