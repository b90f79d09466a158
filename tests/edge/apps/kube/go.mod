module devcluster.test/kube

go 1.26
