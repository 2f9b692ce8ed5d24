// swift-tools-version:5.9

// The Verigate client for Swift. SwiftPM looks for this file in the root of a
// repository; the client itself is clients/swift, over the generated gen/swift.
//
// The client is coming. Until `make generate-swift` has made gen/swift on a Mac,
// this package has no products, and adding it to an app gives nothing.

import Foundation
import PackageDescription

let generated = FileManager.default.fileExists(atPath: Context.packageDirectory + "/gen/swift")

let package = Package(
    name: "Verigate",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: generated ? [.library(name: "VerigateContract", targets: ["VerigateContract"])] : [],
    dependencies: [
        .package(url: "https://github.com/apple/swift-protobuf.git", exact: "1.37.0"),
        // Before the client is released this has to be a version with the fix of
        // connect-swift's issue 398: a long stream that the system re-sends when
        // the app comes back from the background ends the app in 1.2.3.
        .package(url: "https://github.com/connectrpc/connect-swift.git", exact: "1.2.3"),
    ],
    targets: generated
        ? [
            .target(
                name: "VerigateContract",
                dependencies: [
                    .product(name: "Connect", package: "connect-swift"),
                    .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                ],
                path: "gen/swift"
            ),
        ]
        : []
)
