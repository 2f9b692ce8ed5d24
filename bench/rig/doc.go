// Package rig owns what is measured and what it stands on: a private Postgres
// that keeps its promises, and gateways as processes of their own.
//
//	Open ─► temporary folder ─► Postgres (fsync on) ─► two databases:
//	        the gateway's, and one with the same schema for the reference
//	Gateway ─► configuration ─► verigate serve ─► its addresses ─► Memory, CPU
//	Close ─► every process ended, every folder removed
//
// Secrets reach the gateways through their environment and are made anew for
// each run. It must not import anything of the domain: it is outside.
package rig
