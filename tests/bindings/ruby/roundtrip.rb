# Publishes and consumes on the embedded broker through Ruby's ffi, by the header alone.
# SAMSA_LIB: the shared library; SAMSA_INCLUDE: the folder of the headers.
require 'ffi'

module Samsa
  extend FFI::Library
  ffi_lib ENV.fetch('SAMSA_LIB')
  CODES = File.foreach(File.join(ENV.fetch('SAMSA_INCLUDE'), 'samsa_constants.txt'))
              .to_h { |line| line.split.then { |name, number| [name, Integer(number)] } }

  class Error < StandardError; end

  # The columns of a batch: struct_size, then as in samsa.h.
  class Columns < FFI::Struct
    layout :struct_size, :size_t, :count, :size_t, :buffer, :pointer, :buffer_length, :size_t,
           :key_positions, :pointer, :key_lengths, :pointer, :value_positions, :pointer,
           :value_lengths, :pointer, :offsets, :pointer, :timestamps, :pointer
  end

  attach_function :samsa_config_new, [], :pointer
  attach_function :samsa_config_set, %i[pointer string string pointer], :int32
  attach_function :samsa_cluster_open, %i[pointer int32 pointer pointer], :int32, blocking: true
  attach_function :samsa_cluster_topic, %i[pointer string pointer pointer], :int32
  attach_function :samsa_cluster_close, %i[pointer int32 pointer], :int32, blocking: true
  attach_function :samsa_topic_publish,
                  %i[pointer buffer_in size_t buffer_in size_t int32 pointer pointer pointer],
                  :int32, blocking: true
  attach_function :samsa_topic_subscribe, %i[pointer string int32 pointer pointer], :int32, blocking: true
  attach_function :samsa_consumer_poll, %i[pointer int32 pointer pointer], :int32, blocking: true
  attach_function :samsa_batch_columns, [:pointer, Columns.by_ref, :pointer], :int32
  attach_function :samsa_error_message, [:pointer], :string
  attach_function :samsa_embedded_start, %i[int32 pointer pointer], :int32
  attach_function :samsa_embedded_address, [:pointer], :string
  %i[config cluster topic consumer batch error embedded].each do |handle|
    attach_function :"samsa_#{handle}_free", [:pointer], :void
  end

  # Calls a function whose last argument is the error; raises it. Conditions are returned.
  def self.call(name, *arguments)
    error = FFI::MemoryPointer.new(:pointer)
    code = public_send(:"samsa_#{name}", *arguments, error)
    return code if error.read_pointer.null?

    message = samsa_error_message(error.read_pointer).force_encoding('UTF-8')
    samsa_error_free(error.read_pointer)
    raise Error, "#{CODES.key(code)}: #{message}"
  end

  # As call, for functions that give a handle in the last argument but one.
  def self.make(name, *arguments)
    out = FFI::MemoryPointer.new(:pointer)
    code = call(name, *arguments, out)
    code.zero? ? out.read_pointer : nil
  end
end

embedded = Samsa.make(:embedded_start, 1)
config = Samsa.samsa_config_new
Samsa.call(:config_set, config, 'bootstrap.servers', Samsa.samsa_embedded_address(embedded))
cluster = Samsa.make(:cluster_open, config, 10_000)
topic = Samsa.make(:cluster_topic, cluster, 'ruby')
sent = Array.new(100) { |i| "grüße #{i}".b }
offset = FFI::MemoryPointer.new(:int64)
publish = lambda do |text|
  Samsa.call(:topic_publish, topic, nil, 0, text, text.bytesize, 10_000, nil, offset)
end
publish.call('before the subscription')
consumer = Samsa.make(:topic_subscribe, topic, nil, 10_000)
sent.each(&publish)

received = []
while received.size < sent.size
  batch = Samsa.make(:consumer_poll, consumer, 10_000) or raise 'nothing came'
  columns = Samsa::Columns.new
  columns[:struct_size] = Samsa::Columns.size
  Samsa.call(:batch_columns, batch, columns)
  n = columns[:count]
  positions = columns[:value_positions].read_array_of_uint32(n)
  lengths = columns[:value_lengths].read_array_of_uint32(n)
  buffer = columns[:buffer].read_bytes(columns[:buffer_length])
  n.times { |i| received << buffer.byteslice(positions[i], lengths[i]) }
  Samsa.samsa_batch_free(batch)
end
raise "sent #{sent.size}, received #{received.inspect}" unless received == sent

begin
  Samsa.call(:config_set, config, 'bootstrap.server', 'x')
  raise 'a wrong property was accepted'
rescue Samsa::Error => e
  raise e unless e.message.include?('SAMSA_ERR_UNKNOWN_PROPERTY')
end
Samsa.call(:cluster_close, cluster, 10_000)
{ consumer: consumer, topic: topic, cluster: cluster, config: config, embedded: embedded }
  .each { |handle, pointer| Samsa.public_send(:"samsa_#{handle}_free", pointer) }
puts "ruby: #{received.size} messages, last offset #{offset.read_int64}: ok"
