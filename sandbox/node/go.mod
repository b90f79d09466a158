module devcluster/sandbox/node

go 1.26.0
