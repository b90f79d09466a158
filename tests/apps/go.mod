module devcluster.test/app

go 1.26
