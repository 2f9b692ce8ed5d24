package pgdev

// diesWithGateway says that the kernel ends the database with its gateway.
const diesWithGateway = false
