// The log: levels, the form of a line, and files that cannot be opened.
#include "base/log.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace benchfs {
namespace {

/// Logs to a file of its own, and afterwards as before.
struct LogFile {
  LogFile() {
    std::string name = (std::filesystem::temp_directory_path() / "benchfs-log-XXXXXX").string();
    const int fd = mkstemp(name.data());
    REQUIRE(fd >= 0);
    close(fd);
    path = name;
  }
  ~LogFile() {
    (void)init_log(LogLevel::warn, "", "benchfs");
    std::filesystem::remove(path);
  }
  std::vector<std::string> lines() const {
    std::ifstream file(path);
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) out.push_back(line);
    return out;
  }
  std::string path;
};

/// '#' in `form` stands for a digit, '+' for a sign.
bool matches(std::string_view text, std::string_view form) {
  const auto fits = [](char c, char f) {
    if (f == '#') return c >= '0' && c <= '9';
    return c == f || (f == '+' && c == '-');
  };
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), fits);
}

struct Throws {};

}  // namespace
}  // namespace benchfs

template <>
struct fmt::formatter<benchfs::Throws> : fmt::formatter<int> {
  auto format(const benchfs::Throws&, fmt::format_context& context) const {
    throw std::runtime_error("not printable");
    return context.out();
  }
};

namespace benchfs {
namespace {

TEST_SUITE("log") {
  TEST_CASE_FIXTURE(LogFile, "a line has time, level, program and pid, and is written at once") {
    REQUIRE(init_log(LogLevel::info, path, "benchfsd"));
    log_info("served {} of {}", 3, "four");
    const auto got = lines();
    REQUIRE(got.size() == 1);
    const std::string form = fmt::format(
        "####-##-##T##:##:##.######+##:## info benchfsd[{}] served 3 of four", getpid());
    CHECK_MESSAGE(matches(got[0], form), got[0]);
  }

  TEST_CASE_FIXTURE(LogFile, "events below the level are not written") {
    REQUIRE(init_log(LogLevel::warn, path, "t"));
    log_trace("1");
    log_debug("2");
    log_info("3");
    log_warn("4");
    log_error("5");
    CHECK(lines().size() == 2);
    CHECK_FALSE(log_enabled(LogLevel::info));
    CHECK(log_enabled(LogLevel::warn));
    REQUIRE(init_log(LogLevel::off, path, "t"));
    log_error("6");
    CHECK(lines().size() == 2);
    CHECK_FALSE(log_enabled(LogLevel::off));
  }

  TEST_CASE_FIXTURE(LogFile, "a text from outside cannot begin a line of its own") {
    REQUIRE(init_log(LogLevel::info, path, "t"));
    log_info("path {}", "a\n2026 error forged\x1b[0m");
    const auto got = lines();
    REQUIRE(got.size() == 1);
    CHECK(got[0].ends_with("path a\\n2026 error forged\\x1b[0m"));
  }

  TEST_CASE_FIXTURE(LogFile, "a value that cannot be printed does not throw") {
    REQUIRE(init_log(LogLevel::info, path, "t"));
    log_info("{}", Throws{});
    log_info("after");
    CHECK(lines().size() == 1);
  }

  TEST_CASE("a file that cannot be opened is named") {
    const auto result = init_log(LogLevel::info, "/proc/none/log", "t");
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().find("/proc/none/log") != std::string::npos);
  }
}

}  // namespace
}  // namespace benchfs
