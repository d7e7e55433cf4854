package golden;

import java.nio.ByteBuffer;
import org.apache.kafka.common.message.MetadataRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.requests.AbstractRequest;

/** Does Kafka's request parser refuse bytes behind the end of a request? */
final class Trailing {
    static void report() {
        for (short version : new short[] {1, 9}) {
            byte[] body = Messages.encode(new MetadataRequestData().setTopics(null), version);
            ByteBuffer longer = ByteBuffer.allocate(body.length + 3).put(body);
            longer.rewind();
            try {
                AbstractRequest.parseRequest(ApiKeys.METADATA, version, new ByteBufferAccessor(longer));
                System.out.println("Metadata v" + version + " with 3 bytes behind its end: accepted by Kafka");
            } catch (RuntimeException e) {
                System.out.println("Metadata v" + version + " with 3 bytes behind its end: " + e);
            }
        }
    }
}
