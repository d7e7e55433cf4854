package golden;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.Schema;

/** Encoding and decoding with the generated classes. */
final class Messages {
    static Schema schema(Class<?> type, short version) throws Exception {
        Schema[] all = (Schema[]) type.getField("SCHEMAS").get(null);
        return all[version];
    }

    static byte[] encode(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    /** Null when the frame reads as `text` and writes as the same bytes. */
    static String problem(short key, String kind, short version, byte[] bytes, String text) throws Exception {
        ApiMessageType api = ApiMessageType.fromApiKey(key);
        ApiMessage message = kind.equals("request") ? api.newRequest() : api.newResponse();
        ByteBufferAccessor in = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
        message.read(in, version);
        if (in.remaining() != 0) {
            return in.remaining() + " bytes left over";
        }
        String read = Text.of(message);
        if (!read.equals(text)) {
            return "reads as " + read + " instead of " + text;
        }
        return Arrays.equals(encode(message, version), bytes) ? null : "encodes to other bytes";
    }
}
