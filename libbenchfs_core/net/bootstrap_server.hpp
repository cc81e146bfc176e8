// The answering side of the bootstrap port. Bounded in everything: connections at once, bytes per
// request, time per connection. What is not a request closes its connection; a log line names the
// peer, at most one a second.
#pragma once
#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "loop/sync.hpp"
#include "net/bootstrap_protocol.hpp"
#include "net/socket.hpp"

namespace benchfs {

class BootstrapServer {
 public:
  struct Options {
    std::string address = "127.0.0.1";  ///< numeric
    std::uint16_t port = 0;             ///< 0: any free one
    std::string secret = {};
    std::uint64_t instance = 0;
    std::uint32_t connections_max = 1024;
    std::int64_t connection_ms = 5'000;
  };
  /// Answers an authenticated request; runs to its end at once. An error's text goes to the caller.
  using Handler = std::function<Explained<std::string>(std::string_view payload)>;

  /// Listens, and answers from now on. The error names the address.
  static std::expected<std::unique_ptr<BootstrapServer>, std::string> start(Loop& loop,
                                                                            Options options);
  /// Only after close().
  ~BootstrapServer();
  BootstrapServer(const BootstrapServer&) = delete;
  BootstrapServer& operator=(const BootstrapServer&) = delete;

  std::uint16_t port() const { return listener_.port(); }
  std::uint64_t instance() const { return options_.instance; }
  const std::string& secret() const { return options_.secret; }

  void set_state(bootstrap::State state) { state_ = state; }
  void set_cluster_id(std::uint64_t id) { cluster_id_ = id; }
  bootstrap::State state() const { return state_; }
  /// Serves `op` (not ping). Without a handler: Errc::busy for cluster, else Errc::not_supported.
  void set_handler(bootstrap::Op op, Handler handler);

  /// Stops listening, ends open connections and waits for them.
  Task<void> close();

 private:
  BootstrapServer(Loop& loop, Options options, Listener listener)
      : loop_(loop), options_(std::move(options)), listener_(std::move(listener)) {}
  Task<void> accept_all();
  Task<void> serve(Socket socket, Gate::Pass pass);
  Task<bool> take_request(Socket& socket, bootstrap::Banner& banner, bootstrap::Request& request,
                          std::string& payload, std::int64_t deadline_ns);
  Explained<std::string> answer(const bootstrap::Request& request, std::string_view payload) const;
  void complain(const std::string& peer, std::string_view why);

  Loop& loop_;
  Options options_;
  Listener listener_;
  bootstrap::State state_ = bootstrap::State::starting;
  std::uint64_t cluster_id_ = 0;
  std::array<Handler, bootstrap::kOpMax + 1> handlers_;
  std::unordered_set<Socket*> open_;
  WaitQueue room_;
  Gate gate_;
  bool closed_ = false;
  std::int64_t complained_ms_ = 0;
  std::uint64_t unsaid_ = 0;  ///< complaints since the last line
};

}  // namespace benchfs
