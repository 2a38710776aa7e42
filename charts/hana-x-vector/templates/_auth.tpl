{{/* API keys of gateways, and the one that the batch processor shows. Changes of the Secret are taken up in place. */}}

{{/* The gateway's variables, as YAML. Whoever does not want keys says so to the gateway, which refuses otherwise. */}}
{{- define "hanax.gatewayAuth" -}}
{{- $auth := .Values.auth -}}
{{- if and $auth.enabled (not $auth.existingSecret) -}}
{{- fail "auth.enabled needs auth.existingSecret: the name of a Secret with admin-key and service-key" -}}
{{- end -}}
{{- if and $auth.enabled .Values.monitoring.enabled (not $auth.openMetrics) -}}
{{- fail "monitoring.enabled needs auth.openMetrics where auth.enabled is set: Prometheus shows no key" -}}
{{- end -}}
{{- if $auth.enabled -}}
HANAX_INSECURE: null
HANAX_ADMIN_KEY_FILE: /etc/hana-x-vector/keys/admin-key
HANAX_SERVICE_KEY_FILE: /etc/hana-x-vector/keys/service-key
HANAX_KEYS_FILE: {{ ternary "/etc/hana-x-vector/keys/keys.json" "null" $auth.keysFile }}
HANAX_OPEN_METRICS: {{ ternary "\"true\"" "null" $auth.openMetrics }}
{{- else -}}
HANAX_INSECURE: "true"
{{- end -}}
{{- end -}}

{{- define "hanax.keysMount" -}}
{{- if .Values.auth.enabled -}}
- name: keys
  mountPath: /etc/hana-x-vector/keys
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "hanax.keysVolume" -}}
{{- if .Values.auth.enabled -}}
- name: keys
  secret:
    secretName: {{ .Values.auth.existingSecret }}
    defaultMode: 0440
{{- end -}}
{{- end -}}

{{/* Of the Secret, this one key alone. */}}
{{- define "hanax.serviceKeyVolume" -}}
{{- if .Values.auth.enabled -}}
- name: keys
  secret:
    secretName: {{ .Values.auth.existingSecret }}
    items:
      - {key: service-key, path: service-key}
    defaultMode: 0440
{{- end -}}
{{- end -}}
