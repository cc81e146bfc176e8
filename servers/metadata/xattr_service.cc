// Handlers of the messages of extended attributes: unpack, call, answer.
#include "metadata/answer.hpp"
#include "metadata/xattrs.hpp"

namespace benchfs {
namespace {

/// Answers with `found`, or with its length alone if the caller has no room at all.
template <wire::Message M>
Task<void> answer_text(Incoming& incoming, const Result<std::string>& found,
                       std::uint32_t bytes_max) {
  if (!found) {
    co_await incoming.fail(found.error().code);
    co_return;
  }
  if (bytes_max != 0 && found->size() > bytes_max) {
    co_await incoming.fail(Errc::range);
    co_return;
  }
  const typename M::Reply reply{static_cast<std::uint32_t>(found->size()), 0};
  const std::span<const char> text(found->data(), bytes_max == 0 ? 0 : found->size());
  const std::span<const std::byte> bytes = std::as_bytes(text);
  co_await incoming.reply<M>(reply, bytes);
}

}  // namespace

void XattrService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::GetXattr>(*this, &XattrService::get);
  dispatcher.add<wire::SetXattr>(*this, &XattrService::set);
  dispatcher.add<wire::ListXattrs>(*this, &XattrService::list);
  dispatcher.add<wire::RemoveXattr>(*this, &XattrService::remove);
}

Task<void> XattrService::get(Incoming incoming) {
  const auto request = incoming.body<wire::GetXattr>();
  auto task = xattrs_.get(request.inode, std::string(incoming.name()));
  const auto value = co_await task;
  auto answering = answer_text<wire::GetXattr>(incoming, value, request.bytes_max);
  co_await answering;
}

Task<void> XattrService::set(Incoming incoming) {
  const auto request = incoming.body<wire::SetXattr>();
  std::string payload(incoming.payload_bytes(), '\0');
  if (request.name_bytes > payload.size()) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  const auto into = std::as_writable_bytes(std::span{payload.data(), payload.size()});
  auto fetching = incoming.receive(into);
  const Status fetched = co_await fetching;
  if (!fetched) {
    co_await incoming.fail(fetched.error().code);
    co_return;
  }
  std::string name = payload.substr(0, request.name_bytes);
  std::string value = payload.substr(request.name_bytes);
  auto task = xattrs_.set(request.inode, std::move(name), std::move(value), request.flags);
  const Status result = co_await task;
  co_await answer_empty<wire::SetXattr>(incoming, result);
}

Task<void> XattrService::list(Incoming incoming) {
  const auto request = incoming.body<wire::ListXattrs>();
  auto task = xattrs_.list(request.inode);
  const auto names = co_await task;
  auto answering = answer_text<wire::ListXattrs>(incoming, names, request.bytes_max);
  co_await answering;
}

Task<void> XattrService::remove(Incoming incoming) {
  const auto request = incoming.body<wire::RemoveXattr>();
  auto task = xattrs_.remove(request.inode, std::string(incoming.name()));
  const Status result = co_await task;
  co_await answer_empty<wire::RemoveXattr>(incoming, result);
}

}  // namespace benchfs
