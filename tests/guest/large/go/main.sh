# The standard library is compiled as well: Debian ships its source.
export GOCACHE=$PWD/cache GOPATH=$PWD/path GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 GO111MODULE=on
printf 'module example.org/large\n\ngo 1.19\n' > go.mod
go build -o built . || exit
./built
go run . | cmp - <(./built) && echo run as well
go vet . && echo vetted
