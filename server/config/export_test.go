package config

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// FileKeys returns the path of every key that the file may have.
func FileKeys() []string { return KeysOf("", reflect.TypeFor[file]()) }

// KeysOf returns the paths of all keys of a struct, lists written as [].
func KeysOf(path string, in reflect.Type) []string {
	var keys []string
	for key, index := range fieldsOf(in) {
		at, field := join(path, key), in.FieldByIndex(index).Type
		keys = append(keys, at)
		if field.Kind() == reflect.Slice {
			at, field = at+"[]", field.Elem()
		}
		if field.Kind() == reflect.Struct && field != reflect.TypeFor[yaml.Node]() {
			keys = append(keys, KeysOf(at, field)...)
		}
	}
	slices.Sort(keys)
	return keys
}
