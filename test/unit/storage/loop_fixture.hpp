// A loop with ring, helper thread and a temporary directory, for the tests of a server's parts.
#pragma once
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "loop/loop.hpp"
#include "loop/offload.hpp"
#include "loop/ring.hpp"

namespace benchfs::testing {

/// A fresh directory, gone afterwards. Below TMPDIR unless told otherwise.
class TempDir {
 public:
  explicit TempDir(std::string below = "") {
    if (below.empty()) {
      const char* set = getenv("TMPDIR");
      below = set != nullptr && *set != '\0' ? set : "/tmp";
    }
    std::string name = below + "/benchfs_test_XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct LoopFixture {
  TempDir dir;
  std::unique_ptr<Loop> loop = *Loop::create({});
  Loop::Scope scope{*loop};  // tasks begin in the test, outside of a turn
  std::unique_ptr<Ring> ring = *Ring::create(*loop, {.entries = 64});
  std::unique_ptr<Offload> offload = std::make_unique<Offload>(*loop);

  template <class T>
  T run(Task<T> task) {
    return loop->run(std::move(task));
  }
};

/// Bytes that look like data.
inline std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace benchfs::testing
