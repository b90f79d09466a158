package cluster

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net/http"
	"os"
	"text/template"
)

//go:embed addons
var addons embed.FS

// objects are the add-ons in the order they are applied, each with its address in the API.
var objects = []struct{ path, file string }{
	{"/apis/storage.k8s.io/v1/storageclasses/standard", "storageclass.yaml"},
	{"/api/v1/namespaces/kube-system/serviceaccounts/coredns", "coredns-serviceaccount.yaml"},
	{"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns", "coredns-clusterrole.yaml"},
	{"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:coredns", "coredns-clusterrolebinding.yaml"},
	{"/api/v1/namespaces/kube-system/configmaps/coredns", "coredns-configmap.yaml"},
	{"/apis/apps/v1/namespaces/kube-system/deployments/coredns", "coredns-deployment.yaml"},
	{"/api/v1/namespaces/kube-system/services/kube-dns", "coredns-service.yaml"},
}

// applyAddons applies them as one owner (server-side apply), so that a second start changes nothing.
func (c Cluster) applyAddons(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	resolver, err := os.ReadFile(c.run("resolv.conf"))
	if err != nil {
		return err
	}
	values := map[string]any{"DNS": dnsAddress, "Forward": len(upstreams(string(resolver))) > 0}
	for _, object := range objects {
		if err := apply(ctx, client, object.path, object.file, values); err != nil {
			return fmt.Errorf("%s: %w", object.file, err)
		}
	}
	return nil
}

func apply(ctx context.Context, client *http.Client, path, file string, values any) error {
	parsed, err := template.ParseFS(addons, "addons/"+file)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := parsed.Execute(&body, values); err != nil {
		return err
	}
	url := apiServer + path + "?fieldManager=sandbox&force=true"
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/apply-patch+yaml")
	_, err = send(client, request)
	return err
}
