// A cluster of real servers in this process, each on a thread of its own with its own loop, over
// loopback; and sessions of the C interface against it.
#pragma once
#include <doctest/doctest.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/server_config.hpp"
#include "benchfs.h"
#include "server.hpp"

namespace benchfs::test {

/// A directory of its own, gone at the end. Below TMPDIR unless told otherwise.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(std::string base = "") {
    if (base.empty()) {
      const char* set = getenv("TMPDIR");
      base = set != nullptr ? set : "/tmp";
    }
    path_ = base + "/benchfs-fabric-XXXXXX";
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Cluster {
 public:
  using Adjust = std::function<void(ServerConfig&)>;
  explicit Cluster(int servers, Adjust adjust = {}) : count_(servers), adjust_(std::move(adjust)) {
    start();
  }
  ~Cluster() { stop(); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::string registry() const { return directory_.path() + "/registry"; }
  /// Of three servers and more, every second one has its data in memory, where there is such
  /// storage.
  std::string data_dir(int server) const {
    const TemporaryDirectory& below = count_ > 2 && server % 2 == 1 ? memory_ : directory_;
    return below.path() + "/data-" + std::to_string(server);
  }

  /// Whether a server's data are in memory, and so in an arena.
  bool in_memory(int server) const {
    struct statfs facts {};
    return statfs(data_dir(server).c_str(), &facts) == 0 && facts.f_type == TMPFS_MAGIC;
  }

  void start() {
    std::vector<std::future<std::string>> ready;
    for (int i = 0; i < count_; ++i) {
      auto member = std::make_unique<Member>();
      ready.push_back(member->ready.get_future());
      Member* self = member.get();
      self->thread = std::thread([this, self, i] { serve(*self, i); });
      members_.push_back(std::move(member));
    }
    for (auto& each : ready) {
      const std::string error = each.get();
      REQUIRE_MESSAGE(error.empty(), error);
    }
  }
  void stop() {
    for (auto& member : members_) {
      if (member->server != nullptr) member->server->request_stop();
    }
    for (auto& member : members_) member->thread.join();
    members_.clear();
  }

 private:
  struct Member {
    std::unique_ptr<Server> server;
    std::promise<std::string> ready;  ///< error, or empty
    std::thread thread;
  };
  void serve(Member& member, int index) {
    ServerConfig config;
    config.data_dir = data_dir(index);
    config.registry = registry();
    config.server_id = "s" + std::to_string(index);
    config.expected_servers = static_cast<std::uint64_t>(count_);
    config.bootstrap_timeout_ms = 20'000;
    if (adjust_) adjust_(config);
    auto server = Server::create(config);
    if (!server) {
      member.ready.set_value(server.error());
      return;
    }
    member.server = std::move(*server);
    bool told = false;
    const auto served = member.server->run([&] {
      told = true;
      member.ready.set_value({});
    });
    if (!told) member.ready.set_value(served ? "stopped" : served.error());
  }

  TemporaryDirectory directory_;
  TemporaryDirectory memory_{access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ""};
  int count_;
  Adjust adjust_;
  std::vector<std::unique_ptr<Member>> members_;
};

/// A session, with calls that must succeed.
class Session {
 public:
  explicit Session(const Cluster& cluster) {
    const int error = benchfs_connect(cluster.registry().c_str(), &fs_);
    REQUIRE_MESSAGE(error == 0, benchfs_error());
  }
  ~Session() {
    if (fs_ != nullptr) CHECK(benchfs_disconnect(fs_) == 0);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  operator benchfs_t*() const { return fs_; }

  benchfs_file_t* open(const std::string& path, int flags, std::uint64_t chunk_bytes = 0) {
    benchfs_file_t* file = nullptr;
    const int error = benchfs_open(fs_, path.c_str(), flags, 0644, chunk_bytes, &file);
    REQUIRE_MESSAGE(error == 0, benchfs_error());
    return file;
  }
  struct benchfs_stat stat(const std::string& path) {
    struct benchfs_stat st {};
    const int error = benchfs_stat(fs_, path.c_str(), &st);
    REQUIRE_MESSAGE(error == 0, benchfs_error());
    return st;
  }

 private:
  benchfs_t* fs_ = nullptr;
};

/// Bytes that depend on their place, never zero.
inline std::vector<unsigned char> pattern(std::size_t bytes, std::uint64_t seed) {
  std::vector<unsigned char> out(bytes);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (auto& byte : out) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<unsigned char>(1 + (state >> 33) % 255);
  }
  return out;
}

}  // namespace benchfs::test
