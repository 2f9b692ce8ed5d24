// swift-tools-version:5.9

// Pins the generators of gen/swift. `make generate-swift` builds them.

import PackageDescription

let package = Package(
    name: "VerigateGenerate",
    platforms: [.macOS(.v12)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-protobuf.git", exact: "1.37.0"),
        .package(url: "https://github.com/connectrpc/connect-swift.git", exact: "1.2.3"),
    ],
    targets: [
        .target(name: "VerigateGenerate", path: ".", exclude: ["README.md"], sources: ["Empty.swift"]),
    ]
)
