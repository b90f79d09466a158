package dns

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// question is what is read of a query.
type question struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	name     string // lower case, without the last dot
}

func parseQuestion(query []byte) (question, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return question{}, err
	}
	if header.Response {
		return question{}, errors.New("an answer, not a question")
	}
	asked, err := parser.Question()
	if err != nil {
		return question{}, err
	}
	name := strings.ToLower(strings.TrimSuffix(asked.Name.String(), "."))
	return question{header: header, question: asked, name: name}, nil
}

func (q question) wantsAddress() bool {
	return q.header.OpCode == 0 && q.question.Class == dnsmessage.ClassINET &&
		(q.question.Type == dnsmessage.TypeA || q.question.Type == dnsmessage.TypeAAAA)
}

// addresses answers with found. The local pod has IPv4 only, so a question for AAAA gets "the name exists, no
// such record": with NXDOMAIN some resolvers would give up on the name as a whole.
func (q question) addresses(found Found) []byte {
	builder := q.builder(dnsmessage.RCodeSuccess)
	if q.question.Type == dnsmessage.TypeA {
		ttl := uint32(min(max(found.TTL.Seconds(), 0), math.MaxInt32))
		header := dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
		_ = builder.StartAnswers()
		for _, address := range found.Addresses {
			if address = address.Unmap(); address.Is4() {
				_ = builder.AResource(header, dnsmessage.AResource{A: address.As4()})
			}
		}
	}
	return finish(builder)
}

// code answers with a code and no records.
func (q question) code(code dnsmessage.RCode) []byte { return finish(q.builder(code)) }

func (q question) builder(code dnsmessage.RCode) *dnsmessage.Builder {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: q.header.ID, Response: true, OpCode: q.header.OpCode, RecursionDesired: q.header.RecursionDesired,
		RecursionAvailable: true, RCode: code,
	})
	builder.EnableCompression()
	_ = builder.StartQuestions()
	_ = builder.Question(q.question)
	return &builder
}

func finish(builder *dnsmessage.Builder) []byte {
	message, err := builder.Finish()
	if err != nil {
		return nil
	}
	return message
}

const (
	headerSize = 12
	// codeMask is RCODE in the second word.
	codeMask = 0x000f
)

func isFailure(answer []byte) bool {
	if len(answer) < headerSize {
		return false
	}
	code := dnsmessage.RCode(binary.BigEndian.Uint16(answer[2:]) & codeMask)
	return code == dnsmessage.RCodeNameError || code == dnsmessage.RCodeServerFailure
}

// smallest is what every resolver takes by UDP (RFC 1035 4.2.1).
const smallest = 512

// Truncate gives what may go back by UDP: answer itself, or its header and question with TC set, whereupon
// the resolver asks again by TCP.
func Truncate(query, answer []byte) []byte {
	if len(answer) <= udpSize(query) {
		return answer
	}
	asked, err := parseQuestion(query)
	if err != nil {
		return answer
	}
	asked.header.Response = true
	short := asked.code(dnsmessage.RCode(binary.BigEndian.Uint16(answer[2:]) & codeMask))
	if len(short) >= headerSize {
		short[2] |= 0x02 // TC
	}
	return short
}

// udpSize reads the size that the query's OPT record offers (RFC 6891 6.2.3).
func udpSize(query []byte) int {
	var parser dnsmessage.Parser
	if _, err := parser.Start(query); err != nil {
		return smallest
	}
	if parser.SkipAllQuestions() != nil || parser.SkipAllAnswers() != nil || parser.SkipAllAuthorities() != nil {
		return smallest
	}
	for {
		header, err := parser.AdditionalHeader()
		if err != nil {
			return smallest
		}
		if header.Type == dnsmessage.TypeOPT {
			return max(int(header.Class), smallest)
		}
		if parser.SkipAdditional() != nil {
			return smallest
		}
	}
}
