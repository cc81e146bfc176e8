// A server process that is killed or stopped while data is under way, over shared memory and over
// tcp: every call ends in bounded time with unreachable, and UCX has let go of the buffers by then.
//
// The server is this program again, running the skipped test case at the end of this file.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "net/host.hpp"

namespace benchfs {
namespace {

using namespace net_test;  // NOLINT: the tests' own

constexpr const char* kDescriptorVariable = "BENCHFS_TEST_SERVER_FD";
constexpr const char* kHoldVariable = "BENCHFS_TEST_SERVER_HOLD";
constexpr const char* kServerCase = "peer death: the server process";

/// Sets a variable for a while.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (!value.empty()) setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

class ServerProcess {
 public:
  /// hold: the server asks for no data that was announced.
  explicit ServerProcess(bool hold) {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const Variable descriptor(kDescriptorVariable, std::to_string(ends[1]));
    const Variable holding(kHoldVariable, hold ? "1" : "");
    const std::string filter = std::string("-tc=") + kServerCase;
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      unsetenv("DOCTEST_TAP");
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, STDOUT_FILENO);
      execl("/proc/self/exe", "server", filter.c_str(), "--no-skip", static_cast<char*>(nullptr));
      _exit(127);
    }
    REQUIRE(pid_ > 0);
    close(ends[1]);
    std::uint64_t bytes = 0;
    read_all(ends[0], &bytes, sizeof(bytes));
    REQUIRE(bytes < 4096);
    address_.resize(bytes);
    read_all(ends[0], address_.data(), bytes);
    close(ends[0]);
  }
  ~ServerProcess() { end(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void signal(int number) const { REQUIRE(kill(pid_, number) == 0); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  ServerRecord record(bool same_host) const {
    ServerRecord record;
    record.id = "victim";
    record.instance = kInstance;
    record.ucx_address = address_;
    record.host_id = same_host ? host_id() : 0;
    record.pid = pid_;
    return record;
  }

 private:
  static void read_all(int fd, void* into, std::size_t bytes) {
    auto* place = static_cast<char*>(into);
    while (bytes > 0) {
      pollfd wait{fd, POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 30'000) == 1);
      const ssize_t count = read(fd, place, bytes);
      REQUIRE(count > 0);
      place += count;
      bytes -= static_cast<std::size_t>(count);
    }
  }
  pid_t pid_ = -1;
  Bytes address_;
};

/// Calls in flight against a server process, with buffers that tell whether they are still written.
struct Traffic {
  Traffic(const std::string& tls, bool hold, bool same_host)
      : transports("BENCHFS_UCX_TLS", tls),
        server(hold),
        loop(make_loop()),
        scope(*loop),
        client(*loop, server.record(same_host), options()) {}
  static ClientOptions options() {
    ClientOptions options;
    options.deadline_ms = 30'000;
    options.failure_detect_ms = 600;
    return options;
  }
  void start_write() { writes.push_back(client.start<wire::Write>({}, data)); }
  void start_read() {
    wire::Read::Request request{};
    request.bytes = static_cast<std::uint32_t>(data.size());
    into.push_back(std::make_unique<Bytes>(data.size()));
    reads.push_back(client.start<wire::Read>(request, {}, *into.back()));
  }
  bool all_done() const {
    for (const auto& task : writes) {
      if (!task.done()) return false;
    }
    for (const auto& task : reads) {
      if (!task.done()) return false;
    }
    return true;
  }
  template <class Calls>
  int collect(Calls& calls) {
    int failed = 0;
    for (auto& task : calls) {
      const auto answer = task.take();
      if (answer) continue;
      ++failed;
      CHECK(answer.error().code == Errc::unreachable);
      CHECK(answer.error().server == 0);
    }
    calls.clear();
    return failed;
  }
  /// Waits for the end of every call; how many have failed.
  int finish_all(std::int64_t limit_ms) {
    const bool ended = wait_until(
        *loop, [&] { return all_done(); }, limit_ms);
    CHECK(ended);
    BFS_ASSERT(ended);  // a task that is not done cannot be dropped
    return collect(writes) + collect(reads);
  }
  /// Reads and writes until some have been served, with more of them in flight then.
  void flow() {
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 4; ++i) {
        start_write();
        start_read();
      }
      if (round < 4) REQUIRE(finish_all(60'000) == 0);
    }
    wait_until(
        *loop, [&] { return writes.front().done() || reads.front().done(); }, 60'000);
  }
  Variable transports;
  ServerProcess server;
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  Client client;
  Bytes data = pattern(2 << 20);
  std::vector<std::unique_ptr<Bytes>> into;
  std::vector<Task<Result<Answer<wire::Write>>>> writes;
  std::vector<Task<Result<Answer<wire::Read>>>> reads;
};

// Shared memory with one copy (cma), shared memory through buffers, and tcp.
const std::vector<std::string> kTransports = {"", "posix", "tcp"};
constexpr std::int64_t kBoundMs = 5'000;  // failure_detect is 600 ms; the rest is a busy machine

TEST_SUITE("peer death") {
  TEST_CASE("peer death: killed before it asked for the data of a write") {
    for (const std::string& tls : kTransports) {
      for (const bool same_host : {true, false}) {
        if (tls != "tcp" && !same_host) continue;  // shared memory means the same host
        CAPTURE(tls);
        CAPTURE(same_host);
        Traffic traffic(tls, true, same_host);
        REQUIRE(traffic.client.lookup("x"));
        for (int i = 0; i < 8; ++i) traffic.start_write();
        run_for(*traffic.loop, 50);
        traffic.server.end();
        traffic.client.server_lives = false;
        CHECK(traffic.finish_all(kBoundMs) == 8);
        const auto again = traffic.client.lookup("x");
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::unreachable);
      }
    }
  }

  TEST_CASE("peer death: killed in the middle of reads and writes") {
    for (const std::string& tls : kTransports) {
      for (const bool same_host : {true, false}) {
        if (tls != "tcp" && !same_host) continue;  // shared memory means the same host
        CAPTURE(tls);
        CAPTURE(same_host);
        Traffic traffic(tls, false, same_host);
        traffic.flow();
        traffic.server.signal(SIGSTOP);  // so that something is half done for certain
        run_for(*traffic.loop, 20);
        traffic.server.end();
        traffic.client.server_lives = false;
        traffic.finish_all(kBoundMs);
      }
    }
  }

  TEST_CASE(
      "peer death: stopped, given up, and continued: no buffer is written after the call's end") {
    for (const std::string& tls : kTransports) {
      CAPTURE(tls);
      Traffic traffic(tls, false, tls != "tcp");
      traffic.flow();
      traffic.server.signal(SIGSTOP);
      traffic.client.server_lives = false;
      // Over shared memory UCX keeps what the stopped process may still answer.
      const bool ended = wait_until(
          *traffic.loop, [&] { return traffic.all_done(); }, 2'000);
      if (tls == "tcp") CHECK(ended);
      traffic.server.signal(SIGCONT);
      traffic.client.server_lives = true;
      traffic.finish_all(kBoundMs);
      for (auto& buffer : traffic.into) std::fill(buffer->begin(), buffer->end(), std::byte{0x5a});
      // It serves again, those who connect again.
      CHECK(traffic.client.lookup("x"));
      run_for(*traffic.loop, 100);
      for (const auto& buffer : traffic.into) {
        CHECK(std::count(buffer->begin(), buffer->end(), std::byte{0x5a}) ==
              static_cast<std::ptrdiff_t>(buffer->size()));
      }
    }
  }

  TEST_CASE("peer death: the server process" * doctest::skip()) {
    const char* descriptor = std::getenv(kDescriptorVariable);
    if (descriptor == nullptr) return;  // only as another program of the cases above
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Server server(*loop);
    server.service->hold_writes = std::getenv(kHoldVariable) != nullptr;
    const int fd = std::atoi(descriptor);
    const auto address = server.fabric->address();
    const std::uint64_t bytes = address.size();
    BFS_ASSERT(write(fd, &bytes, sizeof(bytes)) == sizeof(bytes));
    BFS_ASSERT(write(fd, address.data(), bytes) == static_cast<ssize_t>(bytes));
    close(fd);
    run_for(*loop, 120'000);
  }
}

}  // namespace
}  // namespace benchfs
