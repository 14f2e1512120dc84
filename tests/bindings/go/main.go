// Publishes and consumes on the embedded broker through cgo, by the header alone.
// CGO_CFLAGS and CGO_LDFLAGS say where header and library are.
package main

/*
#cgo LDFLAGS: -lsamsa
#include <stdlib.h>
#include <samsa.h>
#include <samsa_testing.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"log"
	"unsafe"
)

// check turns an error object into a Go error; conditions are no errors.
func check(err *C.samsa_error) error {
	if err == nil {
		return nil
	}
	defer C.samsa_error_free(err)
	return errors.New(C.GoString(C.samsa_error_message(err)))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func cString(text string) (*C.char, func()) {
	s := C.CString(text)
	return s, func() { C.free(unsafe.Pointer(s)) }
}

func publish(topic *C.samsa_topic, value []byte) (offset C.int64_t) {
	var err *C.samsa_error
	C.samsa_topic_publish(topic, nil, 0, unsafe.Pointer(&value[0]), C.size_t(len(value)),
		10000, nil, &offset, &err)
	must(check(err))
	return offset
}

func main() {
	var err *C.samsa_error
	var embedded *C.samsa_embedded
	C.samsa_embedded_start(1, &embedded, &err)
	must(check(err))
	defer C.samsa_embedded_free(embedded)

	config := C.samsa_config_new()
	defer C.samsa_config_free(config)
	name, free := cString("bootstrap.servers")
	defer free()
	C.samsa_config_set(config, name, C.samsa_embedded_address(embedded), &err)
	must(check(err))

	var cluster *C.samsa_cluster
	C.samsa_cluster_open(config, 10000, &cluster, &err)
	must(check(err))
	defer C.samsa_cluster_free(cluster)
	var topic *C.samsa_topic
	topicName, free := cString("go")
	defer free()
	C.samsa_cluster_topic(cluster, topicName, &topic, &err)
	must(check(err))
	defer C.samsa_topic_free(topic)

	publish(topic, []byte("before the subscription"))
	var consumer *C.samsa_consumer
	C.samsa_topic_subscribe(topic, nil, 10000, &consumer, &err)
	must(check(err))
	defer C.samsa_consumer_free(consumer)
	const sent = 100
	var last C.int64_t
	for i := 0; i < sent; i++ {
		last = publish(topic, []byte(fmt.Sprintf("message %d", i)))
	}

	for received := 0; received < sent; {
		var batch *C.samsa_batch
		code := C.samsa_consumer_poll(consumer, 10000, &batch, &err)
		must(check(err))
		if code != C.SAMSA_OK {
			log.Fatalf("after %d messages: %s", received, C.GoString(C.samsa_code_name(code)))
		}
		var views *C.samsa_message_view
		n := C.samsa_batch_messages(batch, &views)
		// Zero-copy: the views and what they point to live as long as the batch.
		for _, view := range unsafe.Slice(views, int(n)) {
			value := unsafe.Slice((*byte)(view.value), int(view.value_length))
			if want := fmt.Sprintf("message %d", received); string(value) != want {
				log.Fatalf("%q instead of %q", value, want)
			}
			received++
		}
		C.samsa_batch_free(batch)
	}
	C.samsa_cluster_close(cluster, 10000, &err)
	must(check(err))
	fmt.Printf("go: %d messages, last offset %d: ok\n", sent, last)
}
