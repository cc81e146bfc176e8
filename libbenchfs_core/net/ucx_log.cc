// UCX calls an error what is daily life here (a peer that died, a transport that is not there), and
// we report what follows from it ourselves: its errors and warnings are information, and only what
// ends the process is an error. UCX_LOG_LEVEL decides what it says at all.
#include "net/ucx_log.hpp"

#include <ucs/debug/log_def.h>

#include <array>
#include <cstdarg>
#include <cstdio>

#include "base/log.hpp"

namespace benchfs {
namespace {

LogLevel level_of(ucs_log_level_t level) {
  if (level == UCS_LOG_LEVEL_FATAL) return LogLevel::error;
  return level <= UCS_LOG_LEVEL_INFO ? LogLevel::info : LogLevel::debug;
}

ucs_log_func_rc_t take(const char* file, unsigned line, const char*, ucs_log_level_t level,
                       const ucs_log_component_config_t*, const char* format, va_list arguments) {
  const LogLevel ours = level_of(level);
  if (!log_enabled(ours)) return UCS_LOG_FUNC_RC_STOP;
  std::array<char, 1024> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  log_line(ours, "UCX: {} ({}:{})", fmt::make_format_args(text.data(), file, line));
  return UCS_LOG_FUNC_RC_STOP;
}

}  // namespace

void send_ucx_messages_to_log() {
  ucs_log_push_handler(&take);
}

}  // namespace benchfs
