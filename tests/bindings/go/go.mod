module samsa/tests/bindings/go

go 1.19
