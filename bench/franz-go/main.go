// franz-go's side of the bench: the same work as bench/samsa.c.
//
// franz-go produce|consume|latency|idle-producer|idle-consumer|idle-both [NAME=VALUE]...
// There is one way to produce (Produce with a promise) and one to consume (PollRecords), so that
// `call` is not looked at.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	keyLength  = 8
	beforeIdle = 10000 // records with keys that an idle producer has sent: to every partition
	warmUp     = 1     // second of a latency run that is not counted
	batch      = 1000
)

type arguments struct {
	mode, bootstrap, topic, codec, payloads string
	count                                   uint64
	size                                    int
	keys                                    bool
	rate, seconds                           float64
	wait                                    int
}

func main() {
	a := readArguments()
	ctx := context.Background()
	both := a.mode == "idle-both"
	var producer, consumer *kgo.Client
	if a.mode == "produce" || a.mode == "latency" || a.mode == "idle-producer" || both {
		producer = newProducer(ctx, a)
		defer producer.Close()
	}
	if a.mode == "consume" || a.mode == "idle-consumer" || both {
		consumer = newClient(a, kgo.ConsumeTopics(a.topic),
			kgo.FetchMaxWait(time.Duration(a.wait)*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer consumer.Close()
	}
	if producer != nil && strings.HasPrefix(a.mode, "idle") {
		all := a
		all.keys, all.count = true, beforeIdle
		produceAll(ctx, producer, all)
	}
	switch {
	case a.mode == "produce":
		begin := now()
		produceAll(ctx, producer, a)
		sayThroughput(a.count, begin, now())
	case a.mode == "consume":
		consume(ctx, consumer, a)
	case a.mode == "latency":
		latency(ctx, producer, a)
	case consumer != nil:
		// Its application waits for a message that never comes, until it is killed.
		say(map[string]any{})
		consumer.PollFetches(ctx)
		panic("a message came to the idle consumer")
	default:
		say(map[string]any{})
		waitForEnd()
	}
}

func readArguments() arguments {
	a := arguments{
		bootstrap: "127.0.0.1:9092", topic: "bench", codec: "none",
		count: 1000000, size: 100, rate: 10000, seconds: 3, wait: 500,
	}
	if len(os.Args) > 1 {
		a.mode = os.Args[1]
	}
	for _, argument := range os.Args[min(2, len(os.Args)):] {
		name, value, _ := strings.Cut(argument, "=")
		var err error
		switch name {
		case "bootstrap":
			a.bootstrap = value
		case "topic":
			a.topic = value
		case "codec":
			a.codec = value
		case "payloads":
			a.payloads = value
		case "count":
			a.count, err = strconv.ParseUint(value, 10, 64)
		case "size":
			a.size, err = strconv.Atoi(value)
		case "keys":
			a.keys = value == "yes"
		case "rate":
			a.rate, err = strconv.ParseFloat(value, 64)
		case "seconds":
			a.seconds, err = strconv.ParseFloat(value, 64)
		case "wait":
			a.wait, err = strconv.Atoi(value)
		case "call":
		default:
			err = fmt.Errorf("no argument %s", name)
		}
		check(err)
	}
	return a
}

func newClient(a arguments, options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(strings.Split(a.bootstrap, ",")...))
	client, err := kgo.NewClient(options...)
	check(err)
	return client
}

func newProducer(ctx context.Context, a arguments) *kgo.Client {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	linger := 5 * time.Millisecond
	if a.mode == "latency" {
		linger = 0
	}
	client := newClient(a, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(linger),
		kgo.ProducerBatchCompression(codecs[a.codec]), kgo.MaxBufferedRecords(100000),
		kgo.DefaultProduceTopic(a.topic), kgo.AllowAutoTopicCreation())
	// One record connects and makes the topic known.
	check(client.ProduceSync(ctx, &kgo.Record{Value: []byte("warm")}).FirstErr())
	return client
}

func produceAll(ctx context.Context, client *kgo.Client, a arguments) {
	values := mapPayloads(a)
	var delivered, failed atomic.Uint64
	promise := func(_ *kgo.Record, err error) {
		if err == nil {
			delivered.Add(1)
		} else {
			failed.Add(1)
		}
	}
	for i := uint64(0); i < a.count; i++ {
		record := &kgo.Record{Value: payload(values, a.size, i)}
		if a.keys {
			record.Key = randomKey(i)
		}
		client.Produce(ctx, record, promise)
	}
	check(client.Flush(ctx))
	if failed.Load() > 0 || delivered.Load() != a.count {
		panic("some records failed")
	}
}

func consume(ctx context.Context, client *kgo.Client, a arguments) {
	begin := now()
	var seen, first, looked uint64
	for seen < a.count+first {
		fetches := client.PollRecords(ctx, batch)
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			seen++
			looked += uint64(len(record.Value)) + uint64(record.Value[0])
		})
		if first == 0 && seen > 0 { // connected now
			first, begin = seen, now()
		}
	}
	end := now()
	if looked == 0 {
		panic("nothing was looked at")
	}
	sayThroughput(seen-first, begin, end)
}

// Messages at a fixed rate; a latency counts from the time at which the message was due.
func latency(ctx context.Context, client *kgo.Client, a arguments) {
	values := mapPayloads(a)
	skipped := uint64(a.rate * warmUp)
	count := skipped + uint64(a.rate*a.seconds)
	micros := make([]float64, count)
	var all sync.WaitGroup
	all.Add(int(count))
	interval := time.Duration(1e9 / a.rate)
	start := time.Now().Add(50 * time.Millisecond)
	var begin moment
	for i := uint64(0); i < count; i++ {
		due := start.Add(time.Duration(i) * interval)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if i == skipped {
			begin = now()
		}
		client.Produce(ctx, &kgo.Record{Value: payload(values, a.size, i)},
			func(_ *kgo.Record, err error) {
				check(err)
				micros[i] = float64(time.Since(due).Nanoseconds()) / 1e3
				all.Done()
			})
	}
	all.Wait()
	end := now()
	sorted := micros[skipped:]
	sort.Float64s(sorted)
	n, seconds := float64(len(sorted)), end.wall.Sub(begin.wall).Seconds()
	at := func(share float64) float64 { return sorted[int(n*share)] }
	say(map[string]any{
		"cpu_ns": (end.cpu - begin.cpu) * 1e9 / n, "per_second": n / seconds,
		"p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999),
		"switches_per_second": (end.switches - begin.switches) / seconds,
	})
	waitForEnd()
}

// Mapped, so that they are nobody's own memory.
func mapPayloads(a arguments) []byte {
	file, err := os.Open(a.payloads)
	check(err)
	defer file.Close()
	status, err := file.Stat()
	check(err)
	values, err := syscall.Mmap(int(file.Fd()), 0, int(status.Size()), syscall.PROT_READ,
		syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	check(err)
	return values
}

func payload(values []byte, size int, i uint64) []byte {
	at := int(i%uint64(len(values)/size)) * size
	return values[at : at+size]
}

func randomKey(i uint64) []byte {
	x := (i + 1) * 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	x ^= x >> 31
	return binary.LittleEndian.AppendUint64(make([]byte, 0, keyLength), x)
}

type moment struct {
	wall          time.Time
	cpu, switches float64
}

func now() moment {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return moment{
		wall: time.Now(), cpu: seconds(usage.Utime) + seconds(usage.Stime),
		switches: float64(usage.Nvcsw + usage.Nivcsw),
	}
}

func sayThroughput(count uint64, begin, end moment) {
	say(map[string]any{
		"cpu_ns":     (end.cpu - begin.cpu) * 1e9 / float64(count),
		"per_second": float64(count) / end.wall.Sub(begin.wall).Seconds(),
	})
	waitForEnd()
}

func say(figures map[string]any) {
	figures["client"], figures["version"] = "franz-go", version()
	check(json.NewEncoder(os.Stdout).Encode(figures))
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/twmb/franz-go" {
				return strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "unknown"
}

// Until bench/run.py has seen what it wants.
func waitForEnd() {
	_, err := io.Copy(io.Discard, os.Stdin)
	check(err)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
