// Logging: one line per event, with time, level, program and pid. A thin front of spdlog, which
// stays out of this header. The log is the one thing that is process-wide: a library inside
// somebody else's program has one stderr.
#pragma once
#include <fmt/core.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace benchfs {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };

/// Starts logging of `level` and above, to `file` (appended) or, if empty, stderr. `process` stands
/// in every line. May be called again; earlier lines are then complete. Before the first call: warn
/// and above to stderr. The error is a text that names the file.
std::expected<void, std::string> init_log(LogLevel level, const std::string& file,
                                          std::string_view process);

bool log_enabled(LogLevel level);

/// Writes one line; control characters in it are escaped. Never throws; safe from every thread.
void log_line(LogLevel level, fmt::string_view format, fmt::format_args args) noexcept;

template <class... T>
void log_trace(fmt::format_string<T...> format, T&&... args) {
  if (log_enabled(LogLevel::trace))
    log_line(LogLevel::trace, format, fmt::make_format_args(args...));
}
template <class... T>
void log_debug(fmt::format_string<T...> format, T&&... args) {
  if (log_enabled(LogLevel::debug))
    log_line(LogLevel::debug, format, fmt::make_format_args(args...));
}
template <class... T>
void log_info(fmt::format_string<T...> format, T&&... args) {
  if (log_enabled(LogLevel::info)) log_line(LogLevel::info, format, fmt::make_format_args(args...));
}
template <class... T>
void log_warn(fmt::format_string<T...> format, T&&... args) {
  if (log_enabled(LogLevel::warn)) log_line(LogLevel::warn, format, fmt::make_format_args(args...));
}
template <class... T>
void log_error(fmt::format_string<T...> format, T&&... args) {
  if (log_enabled(LogLevel::error))
    log_line(LogLevel::error, format, fmt::make_format_args(args...));
}

}  // namespace benchfs
