#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "runtime/real_host.h"
#include "runtime/real_pool.h"

namespace mr {

namespace {

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error", "off"};
constexpr std::string_view kLevelColors[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m", ""};

/// "2026-11-21T06:12:00.123Z"
void append_time(std::string& out) {
  WallMillis now = real_clock().wall();
  std::time_t seconds = now / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now % 1000);
}

std::string json_line(LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
  std::string out = "{\"time\":\"";
  append_time(out);
  out += "\",\"level\":\"";
  out += kLevelNames[static_cast<int>(level)];
  out += "\",\"room\":";
  append_json_string(out, room);
  out += ",\"message\":";
  append_json_string(out, message);
  for (const LogField& field : fields) {
    out += ',';
    append_json_string(out, field.key);
    out += ':';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_string(out, *text);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      out += std::isfinite(*number) ? fmt::format("{}", *number) : "null";
    } else {
      std::visit(
          [&](const auto& v) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) out += fmt::format("{}", v);
          },
          field.value);
    }
  }
  out += "}\n";
  return out;
}

std::string text_line(bool color, LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
  auto index = static_cast<std::size_t>(level);
  std::string out;
  append_time(out);
  std::string_view tint = color ? kLevelColors[index] : "";
  fmt::format_to(std::back_inserter(out), " {}{:<5}{} {}\n", tint, kLevelNames[index], tint.empty() ? "" : "\x1b[0m",
                 format_text(room, message, fields));
  return out;
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(descriptor, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd wait{.fd = descriptor, .events = POLLOUT, .revents = 0};
      if (::poll(&wait, 1, 1000) <= 0) return;
    } else if (errno != EINTR) {
      return;  // nowhere to say so
    }
  }
}

}  // namespace

struct RealLogSink::Impl {
  explicit Impl(LogSinkOptions o) : options(o) {
    writer = std::thread([this] { write_loop(); });
  }

  void push(std::string line) {
    {
      std::lock_guard lock(mutex);
      if (lines >= options.queue_lines_max) {
        ++dropped;
        ++dropped_unsaid;
        return;
      }
      queue += line;
      ++lines;
    }
    wake.notify_one();
  }

  /// Takes all that is queued; with a last line on what was dropped.
  std::string take() {
    std::string taken;
    taken.swap(queue);
    lines = 0;
    if (dropped_unsaid > 0) {
      taken += render(LogLevel::warn, "runtime", "log lines were dropped", {{"lines", dropped_unsaid}});
      dropped_unsaid = 0;
    }
    return taken;
  }

  void write_loop() {
    name_thread("log");
    unpin_thread();
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return finishing || lines > 0; });
      if (lines == 0 && dropped_unsaid == 0) return;
      std::string taken = take();
      writing = true;
      lock.unlock();
      write_all(options.descriptor, taken);
      lock.lock();
      writing = false;
      written.notify_all();
    }
  }

  void flush() {
    std::unique_lock lock(mutex);
    written.wait(lock, [&] { return lines == 0 && !writing; });
  }

  /// In a process that is about to die: waits a little for the writer, then gives up rather than hang.
  void flush_dying() {
    for (int i = 0; i < 200; ++i) {
      if (mutex.try_lock()) {
        write_all(options.descriptor, std::exchange(queue, {}));
        lines = 0;
        bool done = !writing;
        mutex.unlock();
        if (done) return;
      }
      ::usleep(1000);
    }
  }

  std::string render(LogLevel level, std::string_view room, std::string_view message, LogFields fields) const {
    return options.format == LogSinkOptions::Format::json ? json_line(level, room, message, fields)
                                                          : text_line(options.color, level, room, message, fields);
  }

  const LogSinkOptions options;
  std::mutex mutex;
  std::condition_variable wake, written;
  std::string queue;
  std::size_t lines = 0;
  std::uint64_t dropped = 0;
  std::uint64_t dropped_unsaid = 0;
  bool finishing = false;
  bool writing = false;
  std::thread writer;

  /// The one that abort flushes.
  static inline std::atomic<Impl*> installed{nullptr};
  static void on_abort(int) {
    if (Impl* impl = installed.exchange(nullptr)) impl->flush_dying();
    // SA_RESETHAND: abort() raises again with the default action.
  }
  static void on_exit() {
    if (Impl* impl = installed.load()) impl->flush();
  }
};

RealLogSink::RealLogSink(LogSinkOptions options) : impl_(std::make_shared<Impl>(options)) {
  Impl::installed = impl_.get();
  struct sigaction action{};
  action.sa_handler = &Impl::on_abort;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGABRT, &action, nullptr);
  static const int once = std::atexit(&Impl::on_exit);
  (void)once;
  set_log_sink([impl = impl_](LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
    impl->push(impl->render(level, room, message, fields));
  });
}

RealLogSink::~RealLogSink() {
  set_log_sink(nullptr);
  Impl* self = impl_.get();
  Impl::installed.compare_exchange_strong(self, nullptr);
  {
    std::lock_guard lock(impl_->mutex);
    impl_->finishing = true;
  }
  impl_->wake.notify_all();
  impl_->writer.join();
}

void RealLogSink::flush() { impl_->flush(); }

std::uint64_t RealLogSink::dropped() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->dropped;
}

bool RealLogSink::is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

}  // namespace mr
