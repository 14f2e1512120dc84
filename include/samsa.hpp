// samsa.hpp - samsa.h for C++17: handles that free themselves, errors as exceptions.
//
// A thin layer: every object holds one handle of samsa.h, get() gives it, and what is not wrapped
// here is called with it. Errors are thrown as samsa::error. Conditions (nothing came, woken, an
// event waits) are no errors: next and poll, which wait for something to come, give them as a
// result. What else returns has been done; a wake-up that kept it from being done is thrown as
// samsa::woken, which is a samsa::error. Strings and bytes are std::string_view; a
// default-constructed one (data() == nullptr) is absent, which is not the same as empty.
#ifndef SAMSA_HPP
#define SAMSA_HPP

#include <samsa.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace samsa {

// What a call threw: code, message and context. Cheap to copy.
class error : public std::exception {
 public:
  // Takes over the object.
  explicit error(samsa_error *owned)
      : error_(owned, samsa_error_free), code_(samsa_error_code(owned)) {}
  // A condition, where it is thrown: it has no object, get() gives nullptr.
  explicit error(samsa_code condition) : code_(condition) {}

  const char *what() const noexcept override {
    return error_ == nullptr ? samsa_code_text(code_) : samsa_error_message(error_.get());
  }
  samsa_code code() const noexcept { return code_; }
  const char *name() const noexcept { return samsa_code_name(code()); }
  bool is_retriable() const noexcept { return samsa_error_is_retriable(error_.get()); }
  bool is_fatal() const noexcept { return samsa_error_is_fatal(error_.get()); }
  // SAMSA_NOT_PERSISTED, SAMSA_POSSIBLY_PERSISTED or SAMSA_PERSISTED.
  std::uint32_t status() const noexcept { return samsa_error_status(error_.get()); }
  const samsa_error *get() const noexcept { return error_.get(); }

 private:
  std::shared_ptr<samsa_error> error_;
  samsa_code code_;
};

// A wake-up ended a call before what it is for was done: what was to be published, sent or made was
// not, and a flush has not seen every outcome.
class woken : public error {
 public:
  woken() : error(static_cast<samsa_code>(SAMSA_WOKEN)) {}
};

// Runs call(&err); throws if there is an error; returns success or a condition.
template <class Call>
samsa_code checked(Call &&call) {
  samsa_error *err = nullptr;
  const samsa_code code = call(&err);
  if (err != nullptr) {
    throw error(err);
  }
  return code;
}

// Runs call(&err) and returns only after success: a condition is thrown too, SAMSA_WOKEN as woken.
template <class Call>
void done(Call &&call) {
  const samsa_code code = checked(call);
  if (code == SAMSA_WOKEN) {
    throw woken();
  }
  if (code != SAMSA_OK) {
    throw error(code);
  }
}

// What a call that waits gave: a value, or a condition that says why there is none.
template <class T>
struct result {
  samsa_code code = SAMSA_NOTHING;
  T value;

  explicit operator bool() const noexcept { return code == SAMSA_OK; }
  T &operator*() noexcept { return value; }
  T *operator->() noexcept { return &value; }
};

namespace detail {
template <class T, void (*Free)(T *)>
struct deleter {
  void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, void (*Free)(T *)>
using handle = std::unique_ptr<T, deleter<T, Free>>;

// Runs call(&out, &err) and keeps the handle that it gives; returns success or a condition.
template <class Handle, class Call>
samsa_code given(Handle &into, Call &&call) {
  typename Handle::pointer out = nullptr;
  const samsa_code code = checked([&](samsa_error **err) { return call(&out, err); });
  into.reset(out);
  return code;
}

// Runs call(&out, &err) and gives the handle, which is there whenever this returns.
template <class Handle, class Call>
Handle *made(Call &&call) {
  Handle *out = nullptr;
  done([&](samsa_error **err) { return call(&out, err); });
  return out;
}

inline std::string_view view(const void *data, std::size_t length) {
  return {static_cast<const char *>(data), data == nullptr ? 0 : length};
}
inline std::string text(const char *string) { return string == nullptr ? "" : string; }
}  // namespace detail

class config {
 public:
  config() : handle_(samsa_config_new()) {}
  config(std::initializer_list<std::pair<const char *, const char *>> properties) : config() {
    for (const auto &property : properties) {
      set(property.first, property.second);
    }
  }

  config &set(const std::string &name, const std::string &value) {
    done([&](samsa_error **err) {
      return samsa_config_set(get(), name.c_str(), value.c_str(), err);
    });
    return *this;
  }
  config &load(const std::string &path) {
    done([&](samsa_error **err) { return samsa_config_load(get(), path.c_str(), err); });
    return *this;
  }
  std::string value(const std::string &name) const {
    detail::handle<char, samsa_string_free> out(
        detail::made<char>([&](char **to, samsa_error **err) {
          return samsa_config_get(get(), name.c_str(), to, err);
        }));
    return detail::text(out.get());
  }
  samsa_config *get() const noexcept { return handle_.get(); }

 private:
  detail::handle<samsa_config, samsa_config_free> handle_;
};

// One message. Its key and value are views into it.
class message {
 public:
  std::string topic() const { return detail::text(samsa_message_topic(get())); }
  std::int64_t partition() const noexcept { return samsa_message_partition(get()); }
  const samsa_message_view &view() const noexcept { return *samsa_message_get(get()); }
  std::string_view key() const noexcept { return detail::view(view().key, view().key_length); }
  std::string_view value() const noexcept { return detail::view(view().value, view().value_length); }
  samsa_message *get() const noexcept { return handle_.get(); }

 private:
  friend class consumer;
  detail::handle<samsa_message, samsa_message_free> handle_;
};

// Messages of one poll, as a range of samsa_message_view.
class batch {
 public:
  const samsa_message_view *begin() const noexcept { return views_; }
  const samsa_message_view *end() const noexcept { return views_ + count_; }
  std::size_t size() const noexcept { return count_; }
  const samsa_run &run(const samsa_message_view &message) const noexcept {
    const samsa_run *runs = nullptr;
    samsa_batch_runs(get(), &runs);
    return runs[message.run];
  }
  static std::string_view key(const samsa_message_view &message) noexcept {
    return detail::view(message.key, message.key_length);
  }
  static std::string_view value(const samsa_message_view &message) noexcept {
    return detail::view(message.value, message.value_length);
  }
  samsa_batch *get() const noexcept { return handle_.get(); }

 private:
  friend class consumer;
  detail::handle<samsa_batch, samsa_batch_free> handle_;
  const samsa_message_view *views_ = nullptr;
  std::size_t count_ = 0;
};

// Outcomes of sent records, as a range of samsa_delivery.
class deliveries {
 public:
  const samsa_delivery *begin() const noexcept { return list_; }
  const samsa_delivery *end() const noexcept { return list_ + count_; }
  std::size_t size() const noexcept { return count_; }
  // The record itself, with samsa.delivery.keep=true; valid as long as this.
  samsa_message_view record(std::size_t index) const {
    samsa_message_view view;
    done([&](samsa_error **err) {
      return samsa_deliveries_record(get(), index, &view, err);
    });
    return view;
  }
  samsa_deliveries *get() const noexcept { return handle_.get(); }

 private:
  friend class producer;
  detail::handle<samsa_deliveries, samsa_deliveries_free> handle_;
  const samsa_delivery *list_ = nullptr;
  std::size_t count_ = 0;
};

class consumer {
 public:
  // Takes over a handle, such as that of samsa_consumer_new.
  explicit consumer(samsa_consumer *owned) : handle_(owned) {}

  void assign(const std::vector<samsa_position> &positions) {
    done([&](samsa_error **err) {
      return samsa_consumer_assign(get(), positions.data(), positions.size(),
                                   sizeof(samsa_position), err);
    });
  }
  result<message> next(std::int32_t timeout_ms) {
    result<message> next;
    next.code = detail::given(next.value.handle_, [&](samsa_message **out, samsa_error **err) {
      return samsa_consumer_next(get(), timeout_ms, out, err);
    });
    return next;
  }
  result<batch> poll(std::int32_t timeout_ms) {
    result<batch> polled;
    polled.code = detail::given(polled.value.handle_, [&](samsa_batch **out, samsa_error **err) {
      return samsa_consumer_poll(get(), timeout_ms, out, err);
    });
    polled.value.count_ = samsa_batch_messages(polled.value.get(), &polled.value.views_);
    return polled;
  }
  void wakeup() noexcept { samsa_consumer_wakeup(get()); }
  void close(std::int32_t timeout_ms) {
    done([&](samsa_error **err) { return samsa_consumer_close(get(), timeout_ms, err); });
  }
  samsa_consumer *get() const noexcept { return handle_.get(); }

 private:
  detail::handle<samsa_consumer, samsa_consumer_free> handle_;
};

class topic {
 public:
  // Takes over a handle of samsa_cluster_topic.
  explicit topic(samsa_topic *owned) : handle_(owned) {}

  std::string name() const { return detail::text(samsa_topic_name(get())); }
  // Publishes one message and waits for its outcome; gives its offset, -1 where it is not known.
  // Throws woken when cluster::wakeup had it withdrawn: then it surely is not there.
  std::int64_t publish(std::string_view key, std::string_view value, std::int32_t timeout_ms) {
    std::int64_t offset = -1;
    done([&](samsa_error **err) {
      return samsa_topic_publish(get(), key.data(), key.size(), value.data(), value.size(),
                                 timeout_ms, nullptr, &offset, err);
    });
    return offset;
  }
  // A consumer of all partitions, without a group. Throws woken after cluster::wakeup.
  consumer subscribe(std::int32_t timeout_ms) {
    return consumer(detail::made<samsa_consumer>([&](samsa_consumer **out, samsa_error **err) {
      return samsa_topic_subscribe(get(), nullptr, timeout_ms, out, err);
    }));
  }
  samsa_topic *get() const noexcept { return handle_.get(); }

 private:
  detail::handle<samsa_topic, samsa_topic_free> handle_;
};

class producer {
 public:
  // Takes over a handle of samsa_producer_new.
  explicit producer(samsa_producer *owned) : handle_(owned) {}

  // True when the record was taken, false when that is not possible without waiting (timeout_ms 0,
  // or inside a delivery callback). Throws woken when it had to wait and wakeup ended that.
  [[nodiscard]] bool send(const samsa_record &record, std::int32_t timeout_ms = -1) {
    const samsa_code code = checked([&](samsa_error **err) {
      return samsa_producer_send(get(), &record, sizeof record, timeout_ms, err);
    });
    if (code == SAMSA_WOKEN) {
      throw woken();
    }
    return code == SAMSA_OK;
  }
  result<deliveries> poll(std::int32_t timeout_ms) {
    result<deliveries> polled;
    polled.code =
        detail::given(polled.value.handle_, [&](samsa_deliveries **out, samsa_error **err) {
          return samsa_producer_poll(get(), timeout_ms, out, err);
        });
    polled.value.count_ = samsa_deliveries_list(polled.value.get(), &polled.value.list_);
    return polled;
  }
  // Waits until everything sent has its outcome; gives how many since the last flush that returned
  // were failures. Throws woken after wakeup, and error SAMSA_ERR_TIMED_OUT, when something is left.
  std::uint64_t flush(std::int32_t timeout_ms) {
    done([&](samsa_error **err) {
      std::uint64_t failed = 0;
      const samsa_code code = samsa_producer_flush(get(), timeout_ms, &failed, err);
      // Kept through a throw: the library counts them once.
      if (failed > 0) {
        *failed_ += failed;
      }
      return code;
    });
    return failed_->exchange(0);
  }
  void wakeup() noexcept { samsa_producer_wakeup(get()); }
  void close(std::int32_t timeout_ms) {
    done([&](samsa_error **err) { return samsa_producer_close(get(), timeout_ms, err); });
  }
  samsa_producer *get() const noexcept { return handle_.get(); }

 private:
  detail::handle<samsa_producer, samsa_producer_free> handle_;
  // Behind a pointer, so that a producer can be moved.
  std::unique_ptr<std::atomic<std::uint64_t>> failed_ =
      std::make_unique<std::atomic<std::uint64_t>>(0);
};

class cluster {
 public:
  cluster(const config &properties, std::int32_t timeout_ms)
      : handle_(detail::made<samsa_cluster>([&](samsa_cluster **out, samsa_error **err) {
          return samsa_cluster_open(properties.get(), timeout_ms, out, err);
        })) {}

  samsa::topic topic(const std::string &name) {
    return samsa::topic(detail::made<samsa_topic>([&](samsa_topic **out, samsa_error **err) {
      return samsa_cluster_topic(get(), name.c_str(), out, err);
    }));
  }
  samsa::producer producer(const config *overrides = nullptr) {
    const samsa_config *own = overrides == nullptr ? nullptr : overrides->get();
    return samsa::producer(
        detail::made<samsa_producer>([&](samsa_producer **out, samsa_error **err) {
          return samsa_producer_new(get(), own, out, err);
        }));
  }
  samsa::consumer consumer(const config *overrides = nullptr) {
    const samsa_config *own = overrides == nullptr ? nullptr : overrides->get();
    return samsa::consumer(
        detail::made<samsa_consumer>([&](samsa_consumer **out, samsa_error **err) {
          return samsa_consumer_new(get(), own, out, err);
        }));
  }
  void wakeup() noexcept { samsa_cluster_wakeup(get()); }
  void close(std::int32_t timeout_ms) {
    done([&](samsa_error **err) { return samsa_cluster_close(get(), timeout_ms, err); });
  }
  samsa_cluster *get() const noexcept { return handle_.get(); }

 private:
  detail::handle<samsa_cluster, samsa_cluster_free> handle_;
};

}  // namespace samsa

#endif
