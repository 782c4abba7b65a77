{{- define "kpp.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* The name of one of the two services, from (list $ "kernel-service"). */}}
{{- define "kpp.component" -}}
{{ include "kpp.fullname" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{/* The headless service, whose name every kernel service's certificate has. */}}
{{- define "kpp.nodes" -}}
{{ include "kpp.fullname" . }}-nodes
{{- end }}

{{- define "kpp.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "kpp.labels" -}}
{{ include "kpp.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "kpp.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "kpp.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "kpp.fullname" .)) }}
{{- end }}

{{/* The secrets of one service, from (list $ required optional): values of the Secret, or the names of its mounted files. */}}
{{- define "kpp.secretEnv" -}}
{{- $secret := (index . 0).Values.existingSecret -}}
{{- if (index . 0).Values.secretFiles.enabled }}
{{- range splitList " " (include "kpp.mounted" .) }}
- {name: {{ . }}_FILE, value: /secrets/{{ . }}}
{{- end }}
{{- else }}
{{- range index . 1 }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- range index . 2 }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}, optional: true}}
{{- end }}
{{- end }}
{{- end }}

{{/* The keys of the Secret that are mounted: the required ones, and those of the optional ones that it has. */}}
{{- define "kpp.mounted" -}}
{{- $keys := index . 1 -}}
{{- range index . 2 }}{{ if has . (index $ 0).Values.secretFiles.optional }}{{ $keys = append $keys . }}{{ end }}{{ end -}}
{{ join " " $keys }}
{{- end }}

{{/* Only the service's own keys, for its group alone. */}}
{{- define "kpp.secretVolume" -}}
{{- if (index . 0).Values.secretFiles.enabled }}
- name: secrets
  secret:
    secretName: {{ (index . 0).Values.existingSecret }}
    defaultMode: 0440
    items:
    {{- range splitList " " (include "kpp.mounted" .) }}
      - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- define "kpp.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ include "kpp.setting" $value | quote }}
{{- end }}
{{- end }}

{{/* A number in full: the values' numbers are floats, and a large one would become 1e+06. */}}
{{- define "kpp.setting" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* What both pods have: no rights, no disk, and spread over zones and machines. */}}
{{- define "kpp.pod" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 2 -}}
serviceAccountName: {{ include "kpp.fullname" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "kpp.selector" (list $root $component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kpp.container" -}}
{{- $root := index . 0 -}}{{- $values := index . 1 -}}
image: {{ include "kpp.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml $values.resources | nindent 2 }}
# Connections still come for a moment after a pod is told to end, until every proxy knows.
lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
{{- end }}

{{- define "kpp.rolling" -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end }}
