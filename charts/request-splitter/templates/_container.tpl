{{- /*
The splitter for a pod of yours. In a chart that has this one as a dependency, with `standalone.enabled: false`:

    {{- $splitter := index .Subcharts "request-splitter" }}
    initContainers:
      {{- include "request-splitter.container" $splitter | nindent 6 }}
    volumes:
      {{- include "request-splitter.volumes" $splitter | nindent 6 }}

As the first init container it is a native sidecar: it starts before the app and ends after it.
*/}}
{{- define "request-splitter.container" -}}
- restartPolicy: Always
{{- include "request-splitter.containerFields" . | nindent 2 }}
{{- end }}

{{- define "request-splitter.containerFields" -}}
name: request-splitter
image: {{ include "request-splitter.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  # A configuration that is refused at a start falls back to the last one that was accepted in this pod.
  - {name: LAST_GOOD, value: /var/lib/request-splitter/last-good}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - {name: http-split, containerPort: {{ int .Values.ports.split }}}
  - {name: admin, containerPort: {{ int .Values.ports.admin }}}
# Ready does not mean that an upstream is ready: the splitter starts before its upstreams exist.
startupProbe: {httpGet: {path: /readyz, port: {{ int .Values.ports.admin }}}, periodSeconds: 1, failureThreshold: 60}
readinessProbe: {httpGet: {path: /readyz, port: {{ int .Values.ports.admin }}}, periodSeconds: 2}
livenessProbe: {httpGet: {path: /healthz, port: {{ int .Values.ports.admin }}}, periodSeconds: 10, failureThreshold: 6}
# `kubectl describe pod` shows the problems of a refused configuration.
terminationMessagePolicy: FallbackToLogsOnError
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  # The folder, never a subPath: a file mounted by subPath does not change when its ConfigMap does.
  - {name: splitter-config, mountPath: /etc/request-splitter, readOnly: true}
  - {name: splitter-state, mountPath: /var/lib/request-splitter}
{{- end }}

{{- define "request-splitter.volumes" -}}
- name: splitter-config
  configMap: {name: {{ include "request-splitter.configMapName" . }}}
# Survives a crash of the container, not the end of the pod.
- name: splitter-state
  emptyDir: {sizeLimit: 4Mi}
{{- end }}
