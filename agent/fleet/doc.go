// Package fleet is what a box and whoever runs the fleet say to each other
// over a message broker: the topics, the messages, and who may order what. It
// is pure: no connection, no clock, no disk. docs/mqtt.md is written from it.
package fleet
