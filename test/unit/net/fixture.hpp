// A real server and real callers over loopback, on one loop in one process, and a caller made by
// hand that can send what a right one never would. Used by the tests of net/ and by the fuzz test
// of the wire; broken expectations of the fixture itself end the process.
#pragma once
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/crc32c.hpp"
#include "base/hash.hpp"
#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "net/auth.hpp"
#include "net/caller.hpp"
#include "net/fabric.hpp"
#include "net/service.hpp"

namespace benchfs::net_test {

using Bytes = std::vector<std::byte>;

inline constexpr std::uint64_t kClusterId = 0x1234;
inline constexpr std::uint64_t kInstance = 0x77;
inline constexpr std::int64_t kMs = 1'000'000;
inline constexpr std::size_t kLarge = 1 << 20;  ///< well above the eager limit

inline Bytes pattern(std::size_t bytes, std::uint64_t seed = 1) {
  Bytes data(bytes);
  SplitMix64 random(seed);
  for (auto& byte : data) byte = static_cast<std::byte>(random.below(256));
  return data;
}

inline Bytes secret_of(int number) {
  return Bytes(32, static_cast<std::byte>(number));
}

inline std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create({});
  BFS_ASSERT(loop.has_value());
  return std::move(*loop);
}

inline std::unique_ptr<Fabric> make_fabric(Loop& loop, std::size_t eager_max = 32768) {
  auto fabric = Fabric::create(loop, {.net_device = {}, .eager_max_bytes = eager_max});
  BFS_ASSERT(fabric.has_value());
  return std::move(*fabric);
}

/// Turns the loop until `done`, `limit_ms` at most; false if that was not enough.
inline bool wait_until(Loop& loop, std::function<bool()> done, std::int64_t limit_ms = 20'000) {
  const Loop::Periodic tick(loop, 5 * kMs, [] {});  // so that a sleep ends
  const std::int64_t end_ns = now_ns() + limit_ms * kMs;
  loop.run_until([&] { return done() || now_ns() > end_ns; });
  return done();
}

inline void run_for(Loop& loop, std::int64_t ms) {
  (void)wait_until(
      loop, [] { return false; }, ms);
}

/// Runs a task to its end, which must come within the limit.
template <class T>
T finish(Loop& loop, Task<T> task, std::int64_t limit_ms = 20'000) {
  BFS_ASSERT(wait_until(
      loop, [&] { return task.done(); }, limit_ms));
  return task.take();
}

/// Starts an awaitable call as a task of its own.
template <wire::Message M>
Task<Result<Answer<M>>> start_call(Caller& caller, typename M::Request request,
                                   std::span<const std::byte> payload = {},
                                   std::span<std::byte> into = {}) {
  const Loop::Scope scope(caller.loop());
  auto call = caller.call<M>(0, request, payload, into);
  auto answer = co_await call;
  co_return answer;
}

/// What a server of these tests does with the messages it serves.
class TestService {
 public:
  explicit TestService(Dispatcher& dispatcher) {
    dispatcher.add<wire::Lookup>(*this, &TestService::lookup);
    dispatcher.add<wire::Read>(*this, &TestService::read);
    dispatcher.add<wire::Write>(*this, &TestService::write);
    dispatcher.add<wire::GetAttributes>(*this, &TestService::hold);
    dispatcher.add<wire::ServerStatus>(*this, &TestService::status);
  }

  /// Answers with the length of the name as inode; not_found for the name "missing".
  Task<void> lookup(Incoming incoming) {
    const std::string name(incoming.name());
    const Status intact = incoming.verify(incoming.payload());
    if (!intact) {
      co_await incoming.fail(intact.error().code);
    } else if (name == "missing") {
      co_await incoming.fail(Errc::not_found);
    } else {
      wire::Lookup::Reply reply{};
      reply.inode = name.size();
      co_await incoming.reply<wire::Lookup>(reply);
    }
  }
  /// `bytes` of pattern(seed = offset).
  Task<void> read(Incoming incoming) {
    const auto request = incoming.body<wire::Read>();
    Bytes data = pattern(std::min<std::size_t>(request.bytes, kLarge * 4), request.offset);
    const wire::Read::Reply reply{~0ull, static_cast<std::uint32_t>(data.size()), 0, 0};
    co_await incoming.reply<wire::Read>(reply, data);
  }
  /// Takes the payload; with `drop_payload` answers without it, with `hold_writes` takes it later.
  Task<void> write(Incoming incoming) {
    if (hold_writes) co_await wait_released();
    if (drop_payload) {
      co_await incoming.fail(Errc::no_space);
      co_return;
    }
    Bytes into(incoming.payload_bytes());
    in_memory = incoming.payload_in_memory();
    received = co_await incoming.receive(into);
    ++served_writes;
    if (!received) {
      co_await incoming.fail(received.error().code);
      co_return;
    }
    written = std::move(into);
    const wire::Write::Reply reply{static_cast<std::uint32_t>(written.size()), 0};
    co_await incoming.reply<wire::Write>(reply);
  }
  /// Answers when released.
  Task<void> hold(Incoming incoming) {
    co_await wait_released();
    wire::GetAttributes::Reply reply{};
    reply.attributes.inode = incoming.body<wire::GetAttributes>().inode;
    co_await incoming.reply<wire::GetAttributes>(reply);
  }
  Task<void> status(Incoming incoming) {
    wire::ServerStatus::Reply reply{};
    reply.sessions = 1;
    co_await incoming.reply<wire::ServerStatus>(reply);
  }

  Task<void> wait_released() {
    ++holding;
    most_holding = std::max(most_holding, holding);
    co_await release.wait();
    --holding;
  }

  Event release;
  int holding = 0, most_holding = 0, served_writes = 0;
  bool drop_payload = false, hold_writes = false, in_memory = false;
  Bytes written;
  Status received;
};

struct ServerOptions {
  Bytes secret = secret_of(1);
  bool activate = true;
  std::uint32_t drain_ms = 10'000;
};

struct Server {
  explicit Server(Loop& with_loop, ServerOptions with = {})
      : loop(with_loop), options(std::move(with)), fabric(make_fabric(loop)) {
    Dispatcher::Options settings;
    settings.instance = kInstance;
    settings.secret = options.secret;
    settings.drain_ms = options.drain_ms;
    settings.rpc_bytes_max = 4321;
    dispatcher = std::make_unique<Dispatcher>(*fabric, settings);
    service = std::make_unique<TestService>(*dispatcher);
    BFS_ASSERT(dispatcher->open().has_value());
    if (options.activate) activate();
  }
  void activate() {
    const Loop::Scope scope(loop);
    dispatcher->activate(kClusterId, 5);
  }
  ~Server() { close(); }
  void close() {
    if (std::exchange(closed, true)) return;
    const Loop::Scope scope(loop);
    if (!service->release.is_set()) service->release.set();
    finish(loop, dispatcher->close());
  }
  /// What the cluster file would say of it. No host: its process is not looked for.
  ServerRecord record() const {
    ServerRecord record;
    record.id = "s0";
    record.bootstrap_host = "127.0.0.1";
    record.bootstrap_port = 1;
    record.instance = kInstance;
    record.ucx_address.assign(fabric->address().begin(), fabric->address().end());
    return record;
  }

  Loop& loop;
  ServerOptions options;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<TestService> service;
  bool closed = false;
};

struct ClientOptions {
  Bytes secret = secret_of(1);
  std::uint64_t cluster_id = kClusterId;
  std::uint32_t deadline_ms = 10'000;
  std::uint32_t failure_detect_ms = 3'000;
  std::uint32_t credits = 16;
  bool checksum = false;
};

struct Client {
  Client(Loop& with_loop, const ServerRecord& server, ClientOptions with = {})
      : loop(with_loop), options(std::move(with)), fabric(make_fabric(loop)) {
    Caller::Options settings;
    settings.cluster_id = options.cluster_id;
    settings.secret = options.secret;
    settings.deadline_ms = options.deadline_ms;
    settings.failure_detect_ms = options.failure_detect_ms;
    settings.credits = options.credits;
    settings.checksum = options.checksum;
    caller = std::make_unique<Caller>(*fabric, settings, std::vector<ServerRecord>{server},
                                      [this](ServerRecord, std::uint32_t) { return probe(this); });
    BFS_ASSERT(caller->open().has_value());
  }
  ~Client() { close(); }
  void close() {
    if (std::exchange(closed, true)) return;
    const Loop::Scope scope(loop);
    finish(loop, caller->close());
  }
  template <wire::Message M>
  Task<Result<Answer<M>>> start(typename M::Request request,
                                std::span<const std::byte> payload = {},
                                std::span<std::byte> into = {}) {
    const Loop::Scope scope(loop);
    return start_call<M>(*caller, request, payload, into);
  }
  template <wire::Message M>
  Result<Answer<M>> call(typename M::Request request, std::span<const std::byte> payload = {},
                         std::span<std::byte> into = {}) {
    return finish(loop, start<M>(request, payload, into));
  }
  Result<Answer<wire::Lookup>> lookup(std::string_view name) {
    return call<wire::Lookup>({1}, std::as_bytes(std::span{name}));
  }
  static Task<Status> probe(Client* self) {
    ++self->probes;
    co_return self->server_lives ? Status{} : Status(fail(Errc::unreachable));
  }

  Loop& loop;
  ClientOptions options;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Caller> caller;
  bool server_lives = true;
  int probes = 0;
  bool closed = false;
};

/// A caller made by hand: sends any bytes and collects the replies.
class RawClient {
 public:
  struct Reply {
    wire::Header header;
    Bytes body;
    std::size_t payload_bytes;
  };
  RawClient(Loop& loop, std::span<const std::byte> server_address)
      : loop_(loop), fabric_(make_fabric(loop)) {
    BFS_ASSERT(fabric_
                   ->set_receiver(wire::kAmReply, false,
                                  [this](const AmArrival& arrival) {
                                    Reply reply;
                                    BFS_ASSERT(arrival.header.size() >= sizeof(reply.header));
                                    std::memcpy(&reply.header, arrival.header.data(),
                                                sizeof(reply.header));
                                    const auto body = arrival.header.subspan(sizeof(reply.header));
                                    reply.body.assign(body.begin(), body.end());
                                    reply.payload_bytes = arrival.bytes;
                                    replies_[reply.header.request_id] = std::move(reply);
                                    return false;
                                  })
                   .has_value());
    connect(server_address);
  }
  ~RawClient() { close(true); }
  void close(bool force) {
    if (endpoint_ == nullptr) return;
    const Loop::Scope scope(loop_);
    finish(loop_, endpoint_->close(force));
    endpoint_.reset();
  }

  /// Ends the connection by force and makes another one, without a session.
  void reconnect(std::span<const std::byte> server_address) {
    close(true);
    connect(server_address);
  }

  /// Sends header-and-body bytes and a payload, and waits until UCX has let go of them.
  void send(std::span<const std::byte> head, std::span<const std::byte> payload = {}) {
    BFS_ASSERT(send_within(head, payload, 20'000));
  }
  bool send_within(std::span<const std::byte> head, std::span<const std::byte> payload,
                   std::int64_t limit_ms) {
    const Loop::Scope scope(loop_);
    UcxCompletion done;
    endpoint_->start_send(wire::kAmRequest, head, payload, done);
    return wait_until(
        loop_, [&] { return !done.pending; }, limit_ms);
  }
  wire::Header header(std::uint16_t msg_id) {
    wire::Header header{};
    header.version = wire::kVersion;
    header.msg_id = msg_id;
    header.session = session_;
    header.request_id = ++last_request_;
    return header;
  }
  static Bytes join(const wire::Header& header, std::span<const std::byte> body) {
    Bytes out(sizeof(header) + body.size());
    std::memcpy(out.data(), &header, sizeof(header));
    if (!body.empty()) std::memcpy(out.data() + sizeof(header), body.data(), body.size());
    return out;
  }
  /// The reply to a request, or nothing if none comes in time.
  std::optional<Reply> reply_to(std::uint64_t request_id, std::int64_t limit_ms = 20'000) {
    wait_until(
        loop_, [&] { return replies_.contains(request_id); }, limit_ms);
    const auto found = replies_.find(request_id);
    if (found == replies_.end()) return std::nullopt;
    Reply reply = std::move(found->second);
    replies_.erase(found);
    return reply;
  }
  template <class Body>
  std::optional<Reply> ask(const wire::Header& header, const Body& body,
                           std::span<const std::byte> payload = {},
                           std::int64_t limit_ms = 20'000) {
    send(join(header, std::as_bytes(std::span{&body, 1})), payload);
    return reply_to(header.request_id, limit_ms);
  }

  /// Says hello as a right caller does; false if no answer comes in time.
  bool hello(std::span<const std::byte> secret, std::uint64_t cluster_id = kClusterId,
             std::int64_t limit_ms = 20'000) {
    const wire::Hello::Request request = hello_request(secret, cluster_id);
    const auto reply = ask(header(wire::Hello::kId), request, fabric_->address(), limit_ms);
    if (!reply || reply->header.status != 0) return false;
    wire::Hello::Reply welcome;
    BFS_ASSERT(reply->body.size() == sizeof(welcome));
    std::memcpy(&welcome, reply->body.data(), sizeof(welcome));
    session_ = welcome.session;
    server_nonce_ = welcome.nonce;
    return true;
  }
  wire::Hello::Request hello_request(std::span<const std::byte> secret,
                                     std::uint64_t cluster_id = kClusterId) {
    nonce_ = make_nonce();
    wire::Hello::Request request{};
    request.cluster_id = cluster_id;
    request.nonce = nonce_;
    request.proof = hello_proof(secret, nonce_, cluster_id, kInstance, fabric_->address());
    return request;
  }
  /// The status of the reply.
  std::optional<std::uint16_t> authenticate(std::span<const std::byte> secret) {
    const wire::Authenticate::Request request{
        session_proof(secret, Side::client, nonce_, server_nonce_, kClusterId)};
    const auto reply = ask(header(wire::Authenticate::kId), request);
    if (!reply) return std::nullopt;
    return reply->header.status;
  }
  /// True if the server still answers a right request of this session.
  bool served() {
    const auto reply = ask(header(wire::ServerStatus::kId), wire::Empty{});
    return reply && reply->header.status == 0;
  }

  Fabric& fabric() { return *fabric_; }
  Endpoint& endpoint() { return *endpoint_; }
  std::uint64_t session() const { return session_; }
  std::size_t replies() const { return replies_.size(); }
  void forget_replies() { replies_.clear(); }
  bool failed() const { return failed_; }

 private:
  void connect(std::span<const std::byte> server_address) {
    const Loop::Scope scope(loop_);
    auto endpoint =
        Endpoint::connect(*fabric_, server_address, [this](ucs_status_t) { failed_ = true; });
    BFS_ASSERT(endpoint.has_value());
    endpoint_ = std::move(*endpoint);
    session_ = 0;
    failed_ = false;
  }

  Loop& loop_;
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Endpoint> endpoint_;
  std::map<std::uint64_t, Reply> replies_;
  wire::Nonce nonce_{}, server_nonce_{};
  std::uint64_t session_ = 0, last_request_ = 0;
  bool failed_ = false;
};

/// Plays the server to a Caller: accepts its handshake, and answers each other request as it is
/// told.
class FakeServer {
 public:
  explicit FakeServer(Loop& loop) : loop_(loop), fabric_(make_fabric(loop)) {
    BFS_ASSERT(fabric_
                   ->set_receiver(wire::kAmRequest, true,
                                  [this](const AmArrival& arrival) { return arrived(arrival); })
                   .has_value());
  }
  ~FakeServer() {
    if (endpoint_ != nullptr) finish(loop_, endpoint_->close(true));
  }
  ServerRecord record() const {
    ServerRecord record;
    record.id = "fake";
    record.instance = kInstance;
    record.ucx_address.assign(fabric_->address().begin(), fabric_->address().end());
    return record;
  }
  void reply(const wire::Header& header, std::span<const std::byte> body,
             const Bytes& payload = {}) {
    UcxCompletion done;
    const Bytes message = RawClient::join(header, body);
    endpoint_->start_send(wire::kAmReply, message, payload, done);
    BFS_ASSERT(wait_until(loop_, [&] { return !done.pending; }));
  }
  void raw_reply(const Bytes& message, const Bytes& payload = {}) {
    UcxCompletion done;
    endpoint_->start_send(wire::kAmReply, message, payload, done);
    BFS_ASSERT(wait_until(loop_, [&] { return !done.pending; }));
  }
  /// The header of the next request; the reply's header is to be made of it.
  wire::Header next_request() {
    BFS_ASSERT(wait_until(loop_, [&] { return !requests_.empty(); }));
    const wire::Header header = requests_.front();
    requests_.erase(requests_.begin());
    return header;
  }
  bool silent_hello = false;
  bool wrong_proof = false;

 private:
  bool arrived(const AmArrival& arrival) {
    wire::Header header;
    std::memcpy(&header, arrival.header.data(), sizeof(header));
    if (header.msg_id == wire::Hello::kId) {
      wire::Hello::Request request;
      std::memcpy(&request, arrival.header.data() + sizeof(header), sizeof(request));
      const auto* first = static_cast<const std::byte*>(arrival.data);
      if (!silent_hello) welcome(header, request, Bytes(first, first + arrival.bytes)).detach();
    } else if (header.msg_id == wire::Authenticate::kId) {
      accept(header).detach();
    } else if (header.msg_id == wire::Goodbye::kId) {
      farewell(header).detach();
    } else {
      requests_.push_back(header);
    }
    return false;
  }
  Task<void> welcome(wire::Header header, wire::Hello::Request request, Bytes address) {
    co_await loop_.next_turn();
    auto endpoint = Endpoint::connect(*fabric_, address, [](ucs_status_t) {});
    BFS_ASSERT(endpoint.has_value());
    if (endpoint_ != nullptr) co_await endpoint_->close(true);
    endpoint_ = std::move(*endpoint);
    const wire::Nonce nonce = make_nonce();
    wire::Hello::Reply body{
        99, nonce, session_proof(secret_of(1), Side::server, request.nonce, nonce, kClusterId)};
    if (wrong_proof) body.proof[0] ^= 1;
    const Bytes message = RawClient::join(header, std::as_bytes(std::span{&body, 1}));
    const Status sent = co_await endpoint_->send(wire::kAmReply, message, {});
    BFS_ASSERT(sent.has_value());
  }
  Task<void> accept(wire::Header header) {
    const wire::Authenticate::Reply body{1 << 20, 1 << 20, 0};
    const Bytes message = RawClient::join(header, std::as_bytes(std::span{&body, 1}));
    const Status sent = co_await endpoint_->send(wire::kAmReply, message, {});
    BFS_ASSERT(sent.has_value());
  }
  Task<void> farewell(wire::Header header) {
    const Bytes message = RawClient::join(header, Bytes(sizeof(wire::Empty)));
    const Status sent = co_await endpoint_->send(wire::kAmReply, message, {});
    BFS_ASSERT(sent.has_value());
  }
  Loop& loop_;
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Endpoint> endpoint_;
  std::vector<wire::Header> requests_;
};

}  // namespace benchfs::net_test
