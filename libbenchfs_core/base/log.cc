// Logging through spdlog, with a logger of our own: spdlog's registry and default logger belong to
// the program that the client library is loaded into. Each line is flushed, so that a killed
// process has said everything it had to say.
#include "base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "base/text.hpp"

namespace benchfs {
namespace {

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%f%z %l %n[%P] %v";

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return spdlog::level::trace;
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::shared_ptr<spdlog::logger> make_logger(const std::string& file, std::string_view process) {
  spdlog::sink_ptr sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  }
  auto logger = std::make_shared<spdlog::logger>(std::string(process), std::move(sink));
  logger->set_pattern(kPattern);
  logger->set_level(spdlog::level::trace);  // levels are decided in log_enabled()
  logger->flush_on(spdlog::level::trace);
  return logger;
}

struct Log {
  std::atomic<LogLevel> level{LogLevel::warn};
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger;  // guarded by mutex; made by the first line if not before
};

/// Never destroyed: the last lines of a process may come from its own static destructors.
Log& the_log() {
  static Log* const log = new Log;
  return *log;
}

}  // namespace

std::expected<void, std::string> init_log(LogLevel level, const std::string& file,
                                          std::string_view process) {
  try {
    auto logger = make_logger(file, process);
    Log& log = the_log();
    const std::lock_guard lock(log.mutex);
    log.logger = std::move(logger);
    log.level = level;
    return {};
  } catch (const std::exception& e) {
    return std::unexpected(fmt::format("log_file: {}", e.what()));
  }
}

bool log_enabled(LogLevel level) {
  return level != LogLevel::off && level >= the_log().level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept {
  try {
    const std::string text = escape_line(fmt::vformat(format, args));
    Log& log = the_log();
    std::shared_ptr<spdlog::logger> logger;
    {
      const std::lock_guard lock(log.mutex);
      if (!log.logger) log.logger = make_logger("", "benchfs");
      logger = log.logger;
    }
    logger->log(to_spdlog(level), spdlog::string_view_t(text));
  } catch (...) {
    // A line that cannot be written must not end the program that wrote it.
  }
}

}  // namespace benchfs
