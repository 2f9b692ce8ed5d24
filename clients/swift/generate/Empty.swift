// SwiftPM builds the generators only for a package that has a source file.
