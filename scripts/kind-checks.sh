#!/usr/bin/env bash
# Checks k8s/ and charts/ on the cluster of the current context, which .github/workflows/kind.yml makes: Calico,
# metrics-server, the types of the Prometheus operator, and the image request-splitter:VERSION on its nodes.
# Exits with 1 at the first failed check. Leaves its namespace for inspection.
set -euo pipefail
cd "$(dirname "$0")/.."

namespace=splitter-checks
minor=$(kubectl version --output json | jq --raw-output '.serverVersion.minor | gsub("[^0-9]"; "")')
kube() { kubectl --namespace "$namespace" "$@"; }
say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# within SECONDS COMMAND...: tries the command every other second until it succeeds.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 2
  done
}

say "a namespace that enforces the restricted profile"
kubectl create namespace "$namespace"
kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted
said=$(kube run refused --image busybox:1.37 --dry-run=server 2>&1) && fail "the profile admitted a pod without a security context"
[[ $said == *"violates PodSecurity"* ]] || fail "not the profile refused the pod: $said"

# Enforcement concerns pods. For a Deployment the API server only warns, so a warning fails here.
say "the API server accepts every kustomization"
while IFS= read -r file; do
  folder=$(dirname "$file")
  grep --quiet '^kind: Kustomization' "$file" || continue # a component is built by those who use it
  if [ "$folder" = k8s/injection ] && ((minor < 36)); then
    echo "$folder: left out, MutatingAdmissionPolicy is stable from 1.36"
    continue
  fi
  echo "$folder"
  kube apply --dry-run=server --warnings-as-errors --kustomize "$folder"
done < <(find k8s -name kustomization.yaml | sort)

say "the production overlay runs"
kube apply --kustomize k8s/ambassador/overlays/production
for deployment in backend backend-experiment frontend; do
  kube rollout status "deployment/$deployment" --timeout 5m
done

# client NAME: a pod that waits for commands. Not part of the stack, so no policy names it.
client() {
  kube apply --filename - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: client
      image: busybox:1.37
      command: [sleep, "3600"]
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
YAML
  kube wait --for condition=Ready "pod/$1" --timeout 2m
}
client stranger
fetch() { kube exec stranger -- wget -q -T 5 -O - "$1"; }
ip_of() { kube get pods --selector "app.kubernetes.io/name=$1" --output 'jsonpath={.items[0].status.podIP}'; }

say "both versions answer through the frontend, each token by one of them"
within 60 fetch http://frontend/?token=1 >/dev/null || fail "the frontend does not answer"
answers=$(for token in $(seq 1 40); do fetch "http://frontend/?token=$token"; done)
again=$(for token in $(seq 1 40); do fetch "http://frontend/?token=$token"; done)
[ "$answers" = "$again" ] || fail "a token changed sides"
[ "$(sort --unique <<<"$answers" | wc --lines)" = 2 ] || fail "not both versions answered: $(sort --unique <<<"$answers")"

# A refused connection would mean that nothing listens: a policy drops, so wget has to time out.
denied() {
  local said
  if said=$(fetch "$1" 2>&1); then fail "$1 was reached, $2"; fi
  [[ $said == *"timed out"* ]] || fail "$1 was not dropped but: $said"
  echo "$1: dropped, $2"
}
say "the network policies deny what nobody needs"
denied "http://$(ip_of backend):5678/" "a backend from a pod that is not the frontend"
denied "http://$(ip_of backend-experiment):5678/" "the experiment from a pod that is not the frontend"
denied "http://$(ip_of frontend):9901/metrics" "the admin port from outside of the monitoring namespace"

say "the autoscaler reads the splitter's processor time"
scaler_is_active() {
  kube get horizontalpodautoscalers --output json |
    jq --exit-status '.items | length > 0 and all(.status.conditions // [] | any(.type == "ScalingActive" and .status == "True"))' >/dev/null
}
within 240 scaler_is_active || { kube describe horizontalpodautoscalers; fail "an autoscaler is not active"; }
kube get horizontalpodautoscalers

say "the chart installs, and its pods take a changed configuration without a restart"
values=charts/request-splitter/ci/ambassador-values.yaml
helm lint --strict charts/request-splitter --values "$values"
chart() { helm upgrade --install --namespace "$namespace" chart charts/request-splitter --values "$values" --set fullnameOverride=chart --wait --timeout 5m "$@"; }
pods() { kube get pods --selector app.kubernetes.io/instance=chart --output name; }
chart
before=$(pods)
kube exec deployment/chart -- request-splitter explain "/?token=42"
chart --set config.splits.appversion.missingKey=reject
token_is_required() { [[ $(fetch http://chart/ 2>&1 || true) == *" 400 "* ]]; }
within 180 token_is_required || fail "the changed configuration has not reached a pod"
[ "$before" = "$(pods)" ] || fail "a change of the configuration replaced the pods"

say "everything is as it should be"
