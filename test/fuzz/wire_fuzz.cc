// Messages of every kind, mutated, to a real server and as replies to a real caller, over UCX in
// one process. After each the server must still serve a right request, or the call must have ended.
//
// An input: flags, the length of head (header and body; two bytes), head, payload.
#include "base/log.hpp"
#include "fuzz.hpp"
#include "net/fixture.hpp"

namespace {

using namespace benchfs;
using namespace benchfs::net_test;

constexpr unsigned kToCaller = 1;   ///< a reply to a caller; else a request to the server
constexpr unsigned kRightIds = 2;   ///< the header's session and request id are made right
constexpr unsigned kAnnounced = 4;  ///< the payload is made too large to travel inside
constexpr unsigned kStranger = 8;   ///< from a connection that has said no hello
constexpr std::size_t kLead = 3;

Bytes bytes_of(std::span<const std::uint8_t> data) {
  const auto bytes = std::as_bytes(data);
  return {bytes.begin(), bytes.end()};
}

template <class Field>
void patch(Bytes& head, std::size_t offset, Field value) {
  if (head.size() >= offset + sizeof(value))
    std::memcpy(head.data() + offset, &value, sizeof(value));
}

/// One loop with a server and two connections to it, and a caller with a server made by hand.
class World {
 public:
  World()
      : loop_(make_loop()),
        scope_(*loop_),
        server_(*loop_),
        client_(*loop_, server_.fabric->address()),
        stranger_(*loop_, server_.fabric->address()),
        fake_(*loop_),
        caller_(*loop_, fake_.record()) {
    server_.service->release.set();
    open_session();
  }

  void to_server(unsigned flags, Bytes head, const Bytes& payload) {
    RawClient& from = (flags & kStranger) != 0 ? stranger_ : client_;
    if ((flags & kRightIds) != 0) patch(head, offsetof(wire::Header, session), client_.session());
    std::uint16_t msg_id = 0;
    if (head.size() >= sizeof(wire::Header))
      std::memcpy(&msg_id, head.data() + offsetof(wire::Header, msg_id), sizeof(msg_id));
    from.send(head, payload);
    // These two may have ended the session, as they should.
    if (msg_id == wire::Goodbye::kId || msg_id == wire::Authenticate::kId) open_session();
    BFS_ASSERT(client_.served());
    client_.forget_replies();
    stranger_.forget_replies();
  }

  void to_caller(unsigned flags, Bytes head, const Bytes& payload) {
    auto call = caller_.start<wire::Read>({}, {}, into_);
    const wire::Header right = fake_.next_request();
    if ((flags & kRightIds) != 0) {
      patch(head, offsetof(wire::Header, session), right.session);
      patch(head, offsetof(wire::Header, request_id), right.request_id);
    }
    fake_.raw_reply(head, payload);
    fake_.reply(right, Bytes(sizeof(wire::Read::Reply)));
    const auto answer = finish(*loop_, std::move(call));
    if (!answer) BFS_ASSERT(answer.error().server == 0);
  }

 private:
  /// On a connection of its own: the server closes the one of a session that ends.
  void open_session() {
    client_.reconnect(server_.fabric->address());
    BFS_ASSERT(client_.hello(secret_of(1)));
    BFS_ASSERT(client_.authenticate(secret_of(1)) == 0);
  }
  std::unique_ptr<Loop> loop_;
  Loop::Scope scope_;
  Server server_;
  RawClient client_, stranger_;
  FakeServer fake_;
  Client caller_;
  Bytes into_ = Bytes(100'000);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kLead) return 0;
  static const bool quiet = init_log(LogLevel::error, "", "fuzz").has_value();
  static World world;
  (void)quiet;
  const unsigned flags = data[0];
  const std::span<const std::uint8_t> rest(data + kLead, size - kLead);
  // The header of an active message is bounded by UCX; a longer one is refused at its sender.
  const std::size_t split =
      std::min({std::size_t{data[1]} | std::size_t{data[2]} << 8, rest.size(), std::size_t{1024}});
  Bytes head = bytes_of(rest.first(split));
  Bytes payload = bytes_of(rest.subspan(split));
  if ((flags & kAnnounced) != 0) payload.resize(payload.size() + 40'000);
  if ((flags & kToCaller) != 0) {
    world.to_caller(flags, std::move(head), payload);
  } else {
    world.to_server(flags, std::move(head), payload);
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  const auto add = [&](unsigned flags, std::uint16_t msg_id, std::size_t body_bytes,
                       std::size_t payload_bytes) {
    wire::Header header{};
    header.version = wire::kVersion;
    header.msg_id = msg_id;
    const std::size_t head_bytes = sizeof(header) + body_bytes;
    std::string seed{static_cast<char>(flags), static_cast<char>(head_bytes & 0xff),
                     static_cast<char>(head_bytes >> 8)};
    seed.append(reinterpret_cast<const char*>(&header), sizeof(header));
    seed.append(body_bytes, '\1');
    seed.append(payload_bytes, 'p');
    seeds.push_back(seed);
  };
  wire::All::for_each([&]<class M>() {
    const std::size_t payload_bytes = M::kPayloadMax > 0 ? 20 : 0;
    for (const unsigned flags :
         {0u, kRightIds, kRightIds | kAnnounced, kStranger, kRightIds | kStranger})
      add(flags, M::kId, sizeof(typename M::Request), payload_bytes);
    for (const unsigned flags :
         {kToCaller, kToCaller | kRightIds, kToCaller | kRightIds | kAnnounced})
      add(flags, M::kId, sizeof(typename M::Reply), payload_bytes);
  });
  return seeds;
}
