{{/* What pods have in common. */}}

{{/* Pod security `restricted`; 10001 has a passwd entry in the images. */}}
{{- define "hanax.podSecurity" -}}
{{- include "hanax.podSecurityOf" 10001 -}}
{{- end -}}

{{/* 999: of user and group in the images of others, some of which ask for a passwd entry. */}}
{{- define "hanax.podSecurityOf" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
# Where the root of a volume is ours already, its files are not walked at every start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hanax.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "hanax.pullSecrets" -}}
{{- with .Values.images.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* (list settings owned): the chart's variables, then those of `settings`, none of them twice.
A variable of the chart that is null is written elsewhere, or not at all. */}}
{{- define "hanax.env" -}}
{{- $settings := index . 0 -}}
{{- $owned := index . 1 -}}
{{- range $name, $value := $owned }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if hasKey $owned $name }}
{{- fail (printf "settings.%s is set by the chart itself" $name) }}
{{- end }}
{{- /* Numbers of values are floating: 67108864 would be written 6.7108864e+07. */}}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $value = int64 $value }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* (list values selector): where pods may run; spread over nodes as far as there are any. */}}
{{- define "hanax.placement" -}}
{{- $values := index . 0 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- index . 1 | nindent 8 }}
{{- end -}}
