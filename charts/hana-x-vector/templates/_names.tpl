{{/* Names, labels and images. Selectors hold no version: they are immutable, and pods must not restart for one. */}}

{{- define "hanax.name" -}}
{{- if gt (len .Release.Name) 40 -}}
{{- fail (printf "the release name %q has %d characters; at most 40, so that the names of pods fit" .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* Of an object: (list . "gateway"). */}}
{{- define "hanax.labels" -}}
{{- $root := index . 0 -}}
{{ include "hanax.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: hana-x-vector
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "hanax.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: hana-x-vector
app.kubernetes.io/instance: {{ include "hanax.name" $root }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels that pods of shards have wherever they come from: the pool or the operator. */}}
{{- define "hanax.poolSelector" -}}
app.kubernetes.io/name: hana-x-vector
app.kubernetes.io/component: shard
vector.citadel-ai.com/pool: {{ include "hanax.name" . }}-pool
{{- end -}}

{{/* (list . image override): override wins where it says something. */}}
{{- define "hanax.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $override := index . 2 -}}
{{- $repository := $image.repository -}}
{{- with $root.Values.images.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- $tag := default $image.tag $override.tag | default $root.Chart.AppVersion -}}
{{- $digest := $override.digest -}}
{{- if not (or $override.tag $override.digest) -}}
{{- $digest = $image.digest -}}
{{- end -}}
{{- if $digest -}}{{ $repository }}@{{ $digest }}{{- else -}}{{ $repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{- define "hanax.serverImage" -}}
{{- include "hanax.image" (list . .Values.images.server dict) -}}
{{- end -}}

{{- define "hanax.shardImage" -}}
{{- include "hanax.image" (list . .Values.images.server .Values.shards.image) -}}
{{- end -}}

{{- define "hanax.embedderImage" -}}
{{- include "hanax.image" (list . .Values.images.embedder dict) -}}
{{- end -}}

{{- define "hanax.webhookSecret" -}}
{{- $certificate := .Values.operator.webhook.certificate -}}
{{- if and (eq $certificate.source "existing") (not $certificate.secretName) -}}
{{- fail "operator.webhook.certificate.source is existing: operator.webhook.certificate.secretName must name the Secret" -}}
{{- end -}}
{{- default (printf "%s-operator-webhook" (include "hanax.name" .)) $certificate.secretName -}}
{{- end -}}
