{{/* Redis, PostgreSQL and NATS: where they are, and small ones in the release for trials. */}}

{{/* (list . "redis"): refuses values that do not go together, and secrets that are written down. */}}
{{- define "hanax.checkServer" -}}
{{- $name := index . 1 -}}
{{- $values := index (index . 0).Values $name -}}
{{- if and $values.enabled (or $values.url $values.existingSecret.name) -}}
{{- fail (printf "%s.enabled brings a server of its own: %s.url and %s.existingSecret.name must be empty then" $name $name $name) -}}
{{- end -}}
{{- if and $values.url $values.existingSecret.name -}}
{{- fail (printf "%s.url and %s.existingSecret.name are two answers to one question: set one of them" $name $name) -}}
{{- end -}}
{{- if or (contains "@" $values.url) (regexMatch "[?&](ssl)?password=" $values.url) -}}
{{- fail (printf "%s.url must hold neither a user nor a password: put the whole URL into a Secret and name it in %s.existingSecret" $name $name) -}}
{{- end -}}
{{- end -}}

{{/* (list . "redis" "HANAX_REDIS_URL"): the variable with the server's URL, nothing where there is no server. */}}
{{- define "hanax.serverURL" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := index $root.Values $name -}}
{{- $secret := $values.existingSecret -}}
{{- if $values.enabled -}}
{{- $secret = dict "name" (printf "%s-%s" (include "hanax.name" $root) $name) "key" "url" -}}
{{- end -}}
{{- if $secret.name -}}
- name: {{ index . 2 }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.key }}
{{- else if $values.url -}}
- name: {{ index . 2 }}
  value: {{ $values.url | quote }}
{{- end -}}
{{- end -}}

{{/*
A server for trials: one pod with its Secret, its Service, and who may come. A dict of
  root, name (of the component and of its values), user (id of the pod), port (by its name in the container),
  url (with places for the password and for the host), container (text: args, env, ports, probes),
  writable (paths besides /data and /tmp that its image writes to, by name of volume).
*/}}
{{- define "hanax.trialServer" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .name -}}
{{- $name := printf "%s-%s" (include "hanax.name" $root) .name -}}
{{- $labels := include "hanax.labels" (list $root .name) -}}
{{- $selector := include "hanax.selector" (list $root .name) -}}
{{- $host := printf "%s.%s.svc.%s" $name $root.Release.Namespace $root.Values.clusterDomain -}}
{{- $password := randAlphaNum 32 -}}
{{- $live := lookup "v1" "Secret" $root.Release.Namespace $name -}}
{{- if and $live $live.data (index $live.data "password") -}}
{{- $password = index $live.data "password" | b64dec -}}
{{- end -}}
# The password is made once: an upgrade takes what is there. It stays as long as the volume that knows it.
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
data:
  password: {{ $password | b64enc }}
  url: {{ printf .url $password $host | b64enc }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  selector:
    {{- $selector | nindent 4 }}
  ports:
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .name }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  serviceName: {{ $name }}
  replicas: 1
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: {partition: 0}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with include "hanax.pullSecrets" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      securityContext:
        {{- include "hanax.podSecurityOf" .user | nindent 8 }}
      containers:
        - name: {{ .name }}
          {{- with $values.image }}
          image: {{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
          {{- end }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          {{- .container | nindent 10 }}
          securityContext:
            {{- include "hanax.containerSecurity" $root | nindent 12 }}
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: data
              mountPath: /data
            - name: tmp
              mountPath: /tmp
            {{- range $volume, $path := .writable }}
            - name: {{ $volume }}
              mountPath: {{ $path }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- range $volume, $path := .writable }}
        - name: {{ $volume }}
          emptyDir: {sizeLimit: 64Mi}
        {{- end }}
        {{- if not $values.storage.persistent }}
        - name: data
          emptyDir: {sizeLimit: {{ $values.storage.size }}}
        {{- end }}
  {{- if $values.storage.persistent }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- $selector | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $values.storage.size }}
  {{- end }}
{{- if $root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - {protocol: TCP, port: {{ .name }}}
      from:
        - podSelector:
            matchLabels:
              {{- include "hanax.selector" (list $root "gateway") | nindent 14 }}
        - podSelector:
            matchLabels:
              {{- include "hanax.selector" (list $root "batch-processor") | nindent 14 }}
  # It opens nothing itself.
  egress: []
{{- end }}
{{- end -}}
