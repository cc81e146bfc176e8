// The progress line: a bar, bytes, files, rate, and the time that is left.
#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace benchfs::tools {
namespace {

constexpr std::size_t kBarWidth = 20;
constexpr const char* kClearLine = "\r\033[K";

}  // namespace

Progress::Progress(bool shown)
    : shown_(shown), terminal_(shown && isatty(STDERR_FILENO) != 0), begin_ns_(now_ns()) {
  if (terminal_) thread_ = std::thread([this] { show(); });
}

Progress::~Progress() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    end_.notify_all();
    thread_.join();
  }
  if (!shown_) return;
  clear_line();
  std::fprintf(stderr, "%s\n", line().c_str());
}

void Progress::clear_line() {
  if (terminal_) std::fputs(kClearLine, stderr);
}

void Progress::show() {
  std::unique_lock lock(mutex_);
  while (!end_.wait_for(lock, std::chrono::milliseconds(200), [&] { return ending_; })) {
    std::fprintf(stderr, "%s%s", kClearLine, line().c_str());
    std::fflush(stderr);
  }
}

std::string Progress::line() const {
  const std::uint64_t bytes = bytes_done_, all = std::max<std::uint64_t>(bytes_found_, bytes);
  const auto elapsed_ns =
      static_cast<std::uint64_t>(std::max<std::int64_t>(now_ns() - begin_ns_, 1));
  const double part =
      all == 0 ? (complete_ ? 1.0 : 0.0) : static_cast<double>(bytes) / static_cast<double>(all);
  const double rate = static_cast<double>(bytes) * 1e9 / static_cast<double>(elapsed_ns);
  std::string text;
  if (complete_) {  // until then nobody knows how much it will be
    const auto filled = static_cast<std::size_t>(part * kBarWidth);
    text = fmt::format("[{:<{}}] {:3.0f} %  ", std::string(filled, '#'), kBarWidth,
                       std::min(part, 1.0) * 100);
  }
  text += fmt::format("{} of {}{}, {} of {} files, {}/s", format_bytes(bytes), format_bytes(all),
                      complete_ ? "" : " or more", files_done_.load(), files_found_.load(),
                      format_bytes(static_cast<std::uint64_t>(rate)));
  if (complete_ && bytes < all && rate > 0) {
    const double left_s = static_cast<double>(all - bytes) / rate;
    text += fmt::format(", {:.0f} s left", left_s);
  }
  return text;
}

}  // namespace benchfs::tools
